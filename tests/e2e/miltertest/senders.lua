-- Authors that cannot be signed for.
expect("no From", { fields = { {"To", "bob@example.net"}, {"Subject", "x"} } }, "passed")
expect("empty From", { fields = fields("") }, "passed")
expect("no address", { fields = fields("nonsense") }, "passed")
expect("two From fields", { fields = fields("alice@example.com", {"From", "eve@example.org"}) }, "rejected")
expect("two From fields, ours below", { fields = fields("eve@example.org", {"From", "alice@example.com"}) }, "rejected")
expect("two authors in one From", { fields = fields("alice@example.com, eve@example.org") }, "rejected")
expect("two From fields, none of ours", { fields = fields("a@example.org", {"From", "eve@example.org"}) }, "passed")
expect("two From fields from outside", { host = "mx.example.net", ip = "192.0.2.7", fields = fields("alice@example.com", {"From", "eve@example.org"}) }, "passed")
