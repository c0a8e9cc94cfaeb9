-- PeerList, DontSignMailTo, ExemptDomains.
expect("peer by address", { host = "p.example.net", ip = "192.0.2.9" }, "early")
expect("peer by name", { host = "relay.peer.example", ip = "198.51.100.1" }, "early")
expect("excluded from the peers", { host = "not.peer.example", ip = "127.0.0.1" }, "signed")
expect("recipient", { rcpt = "<quiet@example.net>" }, "passed")
expect("exempt domain", { fields = fields("x@exempt.example") }, "passed")
expect("the others", {}, "signed")
