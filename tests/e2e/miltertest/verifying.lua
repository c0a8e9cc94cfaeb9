-- What was signed for us verifies when it comes back from outside; a changed body, a key that is not there, and no signature do not.
local conn = send({})
check(signed(conn), "not signed")
local signature = mt.getheader(conn, "DKIM-Signature", 0)
mt.disconnect(conn)
local forged = "mail.example.com; dkim=pass header.d=bank.example"

local function verify(what, value, body, want, more)
	local list = { {"DKIM-Signature", value} }
	if value == nil then list = {} end
	if more then table.insert(list, more) end
	for _, f in ipairs(fields("Alice <alice@example.com>")) do table.insert(list, f) end
	local conn = send({ host = "mx.example.net", ip = "192.0.2.7", fields = list, body = body })
	check(accepted(conn), what .. ": not accepted")
	local result = mt.getheader(conn, "Authentication-Results", 0)
	if want == nil then
		check(result == nil, what .. ": a result")
	else
		check(result ~= nil and string.find(result, want, 1, true) ~= nil, what .. ": " .. tostring(result))
	end
	if more then check(mt.eom_check(conn, MT_HDRDELETE, "Authentication-Results"), what .. ": the forged result is still there") end
	mt.disconnect(conn)
end

verify("good", signature, nil, "dkim=pass")
verify("forged result", signature, nil, "dkim=pass", {"Authentication-Results", forged})
verify("changed body", signature, "Hello Eve.\r\n", "dkim=fail")
verify("no such key", string.gsub(signature, "s=sel", "s=nokey"), nil, "dkim=")
verify("no signature", nil, nil, nil)
