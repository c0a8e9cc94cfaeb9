-- Who is signed, by author and client.
expect("author of ours", {}, "signed")
expect("author of others", { fields = fields("eve@example.org") }, "passed")
expect("client of others", { host = "mx.example.net", ip = "192.0.2.7" }, "passed")
expect("no body", { body = "\r\n" }, "signed")
expect("a large body", { body = string.rep("a line of text\r\n", 4000) }, "signed")
expect("many fields", { fields = fields("alice@example.com", {"X-A", "1"}, {"X-B", "2"}, {"List-Id", "<l.example.com>"}) }, "signed")
-- the field that is signed stands above the others
local conn = send({ id = "Q1" })
check(mt.eom_check(conn, MT_HDRINSERT, "DKIM-Signature"), "inserted, not added")
mt.disconnect(conn)
