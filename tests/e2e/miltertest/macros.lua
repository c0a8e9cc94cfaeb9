-- MTA, MacroList, {auth_type}: each lets a client of others be signed.
local out = { host = "mx.example.net", ip = "192.0.2.7" }
local function with(more)
	local t = { host = out.host, ip = out.ip }
	for k, v in pairs(more) do t[k] = v end
	return t
end
expect("none", out, "passed")
expect("MTA", with({ daemon = "submission" }), "signed")
expect("MTA of another case", with({ daemon = "Submission" }), "passed")
expect("macro", with({ macros = { {SMFIC_MAIL, "{mark}", "out"} } }), "signed")
expect("macro, second value", with({ macros = { {SMFIC_MAIL, "{mark}", "relay"} } }), "signed")
expect("macro, other value", with({ macros = { {SMFIC_MAIL, "{mark}", "in"} } }), "passed")
expect("authenticated", with({ macros = { {SMFIC_MAIL, "{auth_type}", "PLAIN"} } }), "signed")
expect("empty {auth_type}", with({ macros = { {SMFIC_MAIL, "{auth_type}", ""} } }), "passed")
