-- What the dialogues share: one message over one connection, and what the filter made of it.
-- Set from outside (-D): socket.

function fail(text)
	mt.echo("FAILED " .. script .. ": " .. text)
	error(text)
end

function check(good, text)
	if not good then fail(text) end
end

-- t: host, ip, macros = {{where, name, value}, ...}, from, rcpt, fields = {{name, value}, ...}, body
-- Returns the connection, at the end of the message.
function send(t)
	local conn = mt.connect(socket, 40, 0.25)
	check(conn ~= nil, "no connection")
	mt.set_timeout(60)
	mt.macro(conn, SMFIC_CONNECT, "j", "mail.example.com", "{daemon_name}", t.daemon or "smtpd")
	check(mt.conninfo(conn, t.host or "localhost", t.ip or "127.0.0.1") == nil, "conninfo")
	if mt.getreply(conn) == SMFIR_ACCEPT then return conn, true end
	pcall(mt.helo, conn, "client.example.net") -- before the macros of MAIL: it clears them
	for _, m in ipairs(t.macros or {}) do mt.macro(conn, m[1], m[2], m[3]) end
	if t.id ~= nil then mt.macro(conn, SMFIC_MAIL, "i", t.id) end
	check(mt.mailfrom(conn, t.sender or "<alice@example.com>") == nil, "mailfrom")
	pcall(mt.rcptto, conn, t.rcpt or "<bob@example.net>") -- an error when the filter wants none
	for _, f in ipairs(t.fields or fields("Alice <alice@example.com>")) do
		check(mt.header(conn, f[1], f[2]) == nil, "header " .. f[1])
	end
	check(mt.eoh(conn) == nil, "eoh")
	check(mt.bodystring(conn, t.body or "Hello Bob.\r\n") == nil, "body")
	check(mt.eom(conn) == nil, "eom")
	return conn, false
end

function fields(from, ...)
	local list = { {"From", from}, {"To", "bob@example.net"}, {"Subject", "A test"},
		{"Date", "Tue, 24 Nov 2026 10:00:00 +0000"}, {"Message-ID", "<1@example.com>"} }
	for _, f in ipairs({...}) do table.insert(list, f) end
	return list
end

function accepted(conn)
	local reply = mt.getreply(conn)
	return reply == SMFIR_ACCEPT or reply == SMFIR_CONTINUE
end

function signed(conn)
	return mt.eom_check(conn, MT_HDRINSERT, "DKIM-Signature") or mt.eom_check(conn, MT_HDRADD, "DKIM-Signature")
end

function changed(conn)
	return mt.eom_check(conn, MT_HDRINSERT) or mt.eom_check(conn, MT_HDRADD) or mt.eom_check(conn, MT_HDRDELETE)
end

function expect(what, t, want)
	local conn, early = send(t)
	if want == "signed" then
		check(accepted(conn) and signed(conn), what .. ": not signed")
		local value = mt.getheader(conn, "DKIM-Signature", 0)
		check(string.find(value, "d=example.com", 1, true) ~= nil, what .. ": d=")
		check(string.find(value, "s=sel", 1, true) ~= nil, what .. ": s=")
	elseif want == "passed" then
		check(early or (accepted(conn) and not changed(conn)), what .. ": not passed as it is")
	elseif want == "early" then
		check(early, what .. ": was not accepted at connect")
	elseif want == "rejected" then
		check(mt.getreply(conn) == string.byte("y"), what .. ": not rejected") -- SMFIR_REPLYCODE
		check(not changed(conn), what .. ": signed and rejected")
	end
	mt.disconnect(conn)
end
