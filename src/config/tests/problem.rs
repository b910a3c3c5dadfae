//! Tests of the messages for every problem and remark.

use crate::config::Remark;
use crate::config::support::{METER, load_text, problems};

/// An OAuth client, as a table.
const CLIENT: &str = "[auth.google]\ngrant = \"client_credentials\"\ntoken_url = \"https://example.org/token\"\nclient_id = \"a\"\nclient_secret = \"b\"\n";

/// One golden file with every message: the configuration, then its problems.
#[test]
fn every_problem_has_a_location_and_a_fix() {
    let cases = [
        ("not TOML", "listen = \n"),
        (
            "a path prefix that is none",
            &format!("base_path = \"/node/\"\n{METER}"),
        ),
        (
            "a path prefix with a dot segment, proxies and origins that are none",
            &format!(
                "base_path = \"/a/../b\"\ntrusted_proxies = [\"nginx\", \"10.0.0.0/33\"]\ncors = [\"https://ha.example.com/\", \"off\"]\nframe_ancestors = [\"self\", \"https://a.example; script-src *\"]\n{METER}"
            ),
        ),
        (
            "a frame for nobody and for somebody",
            &format!("frame_ancestors = [\"'none'\", \"'self'\"]\n{METER}"),
        ),
        ("a short token", &format!("token = \"hunter2\"\n{METER}")),
        (
            "a token that a URL has to escape",
            &format!("token = \"q83vASNFZ4k=/hunter2\"\n{METER}"),
        ),
        (
            "a token that is none",
            &format!("token = 1234567890123456\n{METER}"),
        ),
        ("unknown option", &format!("{METER}evry = \"5m\"\n")),
        (
            "a formula that is none",
            &format!(
                "{METER}[derived.a]\nformula = \"power +\"\n[derived.b]\nformula = 'power ** 2'\n[derived.c]\nformula = \"2 * 3\"\n[derived.d]\nformula = 7\n[derived.e]\nunit = \"W\"\n"
            ),
        ),
        (
            "derived keys as a list of tables",
            &format!("{METER}[[derived]]\nname = \"a\"\nformula = \"power\"\n"),
        ),
        (
            "a JSON Pointer without its first slash, and options of other tables",
            &format!(
                "{METER}[source.records]\nt = {{ at = \"hourly/t\" }}\nu = {{ at = \"/u\", decimals = 1, observed_at = \"/t\" }}\n"
            ),
        ),
        (
            "a derived key with a dot",
            &format!("{METER}[derived.bought.today]\nformula = \"power\"\n"),
        ),
        (
            "an unknown option of a derived key",
            &format!("{METER}[derived.a]\nformula = \"power\"\nunits = \"W\"\n"),
        ),
        (
            "window functions without a window, with two, and with two rules",
            &format!(
                "{METER}[derived.a]\nincrease = \"power\"\n[derived.b]\nrate = \"power\"\nover = \"1h\"\nsince = \"day\"\n\
                 [derived.c]\nformula = \"power\"\nover = \"1h\"\n[derived.d]\nformula = \"power\"\nincrease = \"power\"\nsince = \"day\"\n\
                 [derived.e]\nover = \"1h\"\n"
            ),
        ),
        (
            "windows that are none",
            &format!(
                "{METER}[derived.a]\nincrease = \"power\"\nsince = \"hour\"\n[derived.b]\nrate = 5\nover = \"500d\"\n\
                 [derived.c]\nincrease = \"c\"\nsince = \"day\"\n[derived.d]\nfrom = \"power\"\nsince = \"day\"\n"
            ),
        ),
        (
            "derived keys in other tables",
            &format!(
                "{METER}[source.records]\ntotal = {{ at = \"/t\", rate = \"1h\" }}\nboth = {{ sum = [\"/a\", \"/b\"] }}\n[key.today]\ndiff = \"total\"\n"
            ),
        ),
        (
            "a cycle of derived keys",
            &format!(
                "{METER}[derived.a]\nformula = \"power + c\"\n[derived.b]\nformula = \"a\"\n[derived.c]\nformula = \"b * 2\"\n"
            ),
        ),
        (
            "a derived key of itself",
            &format!("{METER}[derived.a]\nformula = \"a + 1\"\n"),
        ),
        (
            "a derived key that a source gives too",
            &format!(
                "{METER}[source.records]\npower = \"/p\"\n[derived.power]\nformula = \"power2 * 2\"\n"
            ),
        ),
        (
            "a derived key that is merged",
            &format!("{METER}[derived.a]\nformula = \"power\"\n[key.a]\nmerge = \"mean\"\n"),
        ),
        (
            "a series that is merged",
            &format!(
                "{METER}[source.records]\nprice = {{ each = \"/l\", now = \"/t\", at = \"/p\" }}\n\
                 [[source]]\nname = \"other\"\nurl = \"http://o.local/\"\n[source.records]\nprice = \"/p\"\n\
                 [key.price]\nmerge = \"latest\"\n"
            ),
        ),
        ("unknown table", &format!("{METER}\n[alrt]\n")),
        ("an empty file", "# nothing\r\n"),
        (
            "options of other servers",
            &format!(
                "port = 80\ntls_cert = \"a.pem\"\nlog_level = \"debug\"\n{METER}[[alert.value]]\nkey = \"a\"\nabove = 3\nto = \"me\"\n"
            ),
        ),
        ("nothing to fetch", "listen = \"127.0.0.1:8000\"\n"),
        (
            "unknown operation",
            "[[source]]\nname = \"w\"\noperation = \"getForcast\"\n",
        ),
        (
            "required parameter missing",
            "[[source]]\nname = \"w\"\noperation = \"getForecast\"\nparams = { latitude = 1 }\n",
        ),
        (
            "unknown parameter",
            "[[source]]\nname = \"w\"\noperation = \"getForecast\"\nparams = { latitud = 1, latitude = 1, longitude = 2 }\n",
        ),
        (
            "outside its range",
            "[[source]]\nname = \"w\"\noperation = \"getForecast\"\nparams = { latitude = 99, longitude = 2 }\n",
        ),
        (
            "outside its enum",
            "[[source]]\nname = \"w\"\noperation = \"getForecast\"\nparams = { latitude = 9, longitude = 2, current = [\"temprature_2m\"] }\n",
        ),
        (
            "unknown API",
            "[[source]]\nname = \"w\"\napi = \"weather\"\noperation = \"getForecast\"\n",
        ),
        (
            "a SOCKS proxy",
            &format!("{METER}proxy = \"socks5://me:hush@127.0.0.1:1080\"\n"),
        ),
        (
            "a proxy without http://",
            &format!("{METER}proxy = \"127.0.0.1:3128\"\n"),
        ),
        (
            "a proxy with a password, without http://",
            &format!("{METER}proxy = \"me:hush@proxy.lan:3128\"\n"),
        ),
        (
            "operation and url",
            &format!("{METER}operation = \"getForecast\"\n"),
        ),
        ("neither", "[[source]]\nname = \"w\"\n"),
        ("no name", "[[source]]\nurl = \"http://meter.local\"\n"),
        ("two of one name", &format!("{METER}{METER}")),
        (
            "an address that is none",
            "[[source]]\nname = \"w\"\nurl = \"meter.local\"\n",
        ),
        (
            "an address with letters of its own and a secret",
            "[[source]]\nname = \"w\"\nurl = \"http://me:secret@bücher.example/?key=secret\"\n",
        ),
        (
            "a port that is none",
            "[[source]]\nname = \"w\"\nurl = \"https://me:secret@[::1]:99999/?key=secret\"\n",
        ),
        (
            "an address with a space",
            "[[source]]\nname = \"w\"\nurl = \"http://meter.local/a b?key=secret\"\n",
        ),
        (
            "another protocol",
            "[[source]]\nname = \"w\"\nurl = \"ftp://me:secret@meter.local/x?key=secret\"\n",
        ),
        (
            "a method that writes",
            &format!("{METER}method = \"PUT\"\n"),
        ),
        (
            "a GET with a body",
            &format!("{METER}method = \"GET\"\nbody = {{ a = 1 }}\n"),
        ),
        (
            "a content type without a body",
            &format!("{METER}method = \"POST\"\ncontent_type = \"text/xml\"\n"),
        ),
        (
            "a content type of a table",
            &format!("{METER}content_type = \"text/xml\"\nbody = {{ a = 1 }}\n"),
        ),
        (
            "a content type that is none",
            &format!("{METER}content_type = \"xml\"\nbody = \"<a/>\"\n"),
        ),
        (
            "a text that nothing says what it is",
            &format!("{METER}body = \"user=me&password=hunter2\"\n"),
        ),
        (
            "a body of another type",
            &format!("{METER}body = [\"hunter2\"]\n"),
        ),
        (
            "a header that contradicts the body",
            &format!("{METER}headers = {{ content-Type = \"text/xml\" }}\nbody = {{ a = 1 }}\n"),
        ),
        (
            "a header that contradicts the content type",
            &format!(
                "{METER}headers = {{ Content-Type = \"text/xml\" }}\nbody = \"x\"\ncontent_type = \"text/plain\"\n"
            ),
        ),
        (
            "a body for another main-node",
            "[[source]]\nname = \"attic\"\nfollow = \"http://attic:8000\"\nmethod = \"POST\"\nbody = {}\n",
        ),
        (
            "a body for an operation",
            "[[source]]\nname = \"w\"\noperation = \"getForecast\"\nparams = { latitude = 1, longitude = 2 }\nbody = {}\n",
        ),
        (
            "a decimal mark that is none",
            &format!("{METER}[source.records]\nt = {{ at = \"/t\", decimal = \";\" }}\n"),
        ),
        (
            "a decimal mark of a whole source",
            &format!("{METER}decimal = \",\"\n"),
        ),
        (
            "patterns that take no number",
            &format!(
                "{METER}[source.records]\na = {{ at = \"/a\", pattern = '[0-9]+' }}\n\
                 b = {{ at = \"/b\", pattern = '(a)(b)' }}\nc = {{ at = \"/c\", pattern = '([0-9]+' }}\n\
                 d = {{ at = \"/d\", pattern = 5 }}\ne = {{ at = \"/e\", regex = '(.*) kWh$' }}\n"
            ),
        ),
        (
            "a base that is none",
            &format!("{METER}[source.records]\nt = {{ at = \"/t\", base = 64 }}\n"),
        ),
        (
            "options of a record that exclude each other",
            &format!(
                "{METER}[source.records]\na = {{ at = \"/a\", unit = \"V\", unit_at = \"/u\" }}\n\
                 b = {{ at = \"/b\", base = 16, decimal = \",\" }}\n\
                 c = {{ at = \"/c\", text = true, base = 16, missing = 0, null = 0 }}\n"
            ),
        ),
        (
            "elements that make one record, but not so",
            &format!(
                "{METER}[source.records]\na = {{ at = \"/a\", newest_by = \"/t\" }}\n\
                 b = {{ each = \"/l\", at = \"/b\", newest_by = true }}\n\
                 c = {{ each = \"/l\", at = \"/c\", newest_by = \"/t\", times_at = \"/times\" }}\n\
                 d = {{ at = \"/d\", times_at = \"/times\" }}\n\
                 e = {{ at = \"$.l[*].e\", aggregate = \"avg\" }}\n\
                 f = {{ at = \"/f\", aggregate = \"sum\", text = true }}\n\
                 g = {{ each = \"/l\", at = \"/g\", aggregate = \"sum\", newest_by = \"/t\" }}\n\
                 h = {{ each = \"/l\", at = \"/h\", newest_by = \"time\" }}\n\
                 i = {{ each = \"/l\", at = \"/i\", newest_by = 5 }}\n\
                 j = {{ each = \"/l\", at = \"/j\", newest_by = \"{{../}} {{h}}\" }}\n\
                 \"k.{{../}}\" = {{ each = \"/l\", at = \"/k\" }}\n\
                 l = {{ at = \"/l\", now = \"/t\" }}\n\
                 m = {{ at = \"/m\", end_at = \"/e\", ahead = 1 }}\n\
                 n = {{ each = \"/l\", at = \"/n\", now = \"/t\", element_time = \"/t\", ahead = 0 }}\n\
                 o = {{ each = \"/l\", at = \"/o\", now = \"/t\", max_change = 5 }}\n\
                 p = {{ at = \"/p\", times_at = \"/t\", now = true, end_at = \"/e\" }}\n\
                 q = {{ each = \"/l\", at = \"/q\", aggregate = \"time_of_min\", unit = \"V\" }}\n\
                 r = {{ each = \"/l\", at = \"/r\", aggregate = \"sum\", element_time = \"/t\" }}\n"
            ),
        ),
        (
            "a value for what is missing that is no number",
            &format!(
                "{METER}[source.records]\nt = {{ at = \"/t\", missing = \"0\", default = 0 }}\n"
            ),
        ),
        (
            "settings of keys",
            &format!(
                "{METER}[key.a]\nlabel = \"\"\ndecimals = 12\nshow = \"kWh\"\nwords = {{ on = \"On\", 1 = 5 }}\nhide = 1\n"
            ),
        ),
        (
            "charts and limits of keys",
            &format!(
                "{METER}[key.a]\nchart = \"pie\"\nrange = [9, 0]\nwarn = [\">9\", \">8\"]\nbad = [\"<5\", \">1\"]\ncounter = 1\n"
            ),
        ),
        (
            "groups and walls",
            &format!(
                "{METER}[[group]]\nname = \"a\"\nrows = {{ a = \"A\" }}\n[[group]]\nkeys = [\"\"]\n[[group]]\nname = \"a\"\nmatrix = \"{{row}}{{column}}\"\n\
                 [[wall]]\ndim = \"22\"\n[[wall]]\nkeys = [\"a\"]\nfold = true\n\
                 [[group]]\nname = \"..\"\nkeys = [\"a\"]\n[[wall]]\nname = \".\"\nkeys = [\"a\"]\n"
            ),
        ),
        (
            "displays",
            &format!(
                "{METER}[[display]]\nname = \"hall.png\"\nmodel = \"trmnl\"\n[[display]]\nname = \"hall\"\n\
                 [[display]]\nname = \"a\"\nsize = [32, 480]\ndepth = 3\nrotate = 45\nlayout = \"table\"\nquiet = \"22\"\nevery = \"1s\"\n\
                 [[display]]\nname = \"b\"\nsize = [2600, 2600]\ncolours = \"bwr\"\ndepth = 1\ndevice = \"AA:BB\"\nchart = {{ span = \"1m\" }}\n\
                 [[display]]\nname = \"c\"\nsize = [800, 480]\ndevice = \"aabbccddeeff\"\n\
                 [[display]]\nname = \"C\"\nsize = \"800x480\"\nchart = \"price\"\n\
                 [[display]]\nname = \"d\"\nmodel = \"trmnl-og\"\ndevice = \"AA:BB:CC:DD:EE:FF\"\nicon = \"x\"\n"
            ),
        ),
        ("an unknown locale", &format!("locale = \"tlh\"\n{METER}")),
        (
            "patterns of keys",
            &format!(
                "{METER}[key.\"a.*\"]\nmerge = \"mean\"\nstale_after = \"1m\"\n[key.\"*.b\"]\nunit = \"V\"\n"
            ),
        ),
        (
            "placeholders that cannot be read",
            &format!(
                "{METER}params = {{ a = \"{{today}}\", b = \"{{today+1y}}\", c = [\"{{now\"] }}\n\
                 headers = {{ X-Date = \"secret {{now:YYYY}}\" }}\n"
            ),
        ),
        (
            "a placeholder of GraphQL, in a later line",
            &format!(
                "{METER}[source.body]\nquery = \"\"\"\n{{ viewer {{ id(today: \"{{today}}\")\n  priceInfo {{today{{total}}}} }} }}\n\"\"\"\n"
            ),
        ),
        (
            "a placeholder in the host",
            "[[source]]\nname = \"w\"\nurl = \"http://{today}.meter.local/{today}\"\n",
        ),
        (
            "a placeholder beside a space",
            "[[source]]\nname = \"w\"\nurl = \"http://meter.local/a b/{today: %d}\"\n",
        ),
        (
            "a date where a number is declared",
            "[[source]]\nname = \"w\"\noperation = \"getForecast\"\nparams = { latitude = \"{now:%%}\", longitude = 2 }\n",
        ),
        (
            "a network that is none",
            &format!("allow = [\"192.168.0.0/33\", \"lan\", \"10.0.0.7\"]\n{METER}"),
        ),
        (
            "a password file that is not there",
            &format!("password_file = \"no/such/file\"\n{METER}"),
        ),
        (
            "a duration that is none",
            &format!("{METER}every = \"5 minutes\"\n"),
        ),
        (
            "an interval too short",
            &format!("{METER}every = \"10ms\"\n"),
        ),
        (
            "a missing variable",
            &format!("{METER}headers = {{ Authorization = \"Bearer ${{NO_SUCH}}\" }}\n"),
        ),
        (
            "a lone dollar",
            &format!("{METER}attribution = \"5 $ a day\"\n"),
        ),
        (
            "a header that would inject one",
            &format!("{METER}headers = {{ X = \"a\\r\\nY: b\" }}\n"),
        ),
        (
            "a pointer that is none",
            &format!("{METER}[source.records]\nt = \"current.t\"\n"),
        ),
        (
            "a record without `at`",
            &format!("{METER}[source.records]\nt = {{ unit = \"V\" }}\n"),
        ),
        (
            "a record without `at`, with options that there are not",
            &format!(
                "{METER}[source.records]\np = {{ path = \"/power\", multiplier = 0.1, unit = \"W\" }}\n"
            ),
        ),
        (
            "min above max",
            &format!("{METER}[source.records]\nt = {{ at = \"/t\", min = 9, max = 1 }}\n"),
        ),
        (
            "one key from two sources",
            &format!(
                "{METER}[source.records]\nt = \"/t\"\n[[source]]\nname = \"other\"\nurl = \"http://b.local/\"\n[source.records]\nt = \"/t\"\n"
            ),
        ),
        (
            "a listening address that is none",
            &format!("listen = [\"pi.local:8080\", \"unix:/run/node.sock\", 70000, true]\n{METER}"),
        ),
        (
            "a time zone that is none",
            &format!("timezone = \"Berlin\"\n{METER}"),
        ),
        (
            "a merge that is none",
            &format!("{METER}[key.t]\nmerge = \"average\"\n"),
        ),
        (
            "mail without a recipient",
            &format!("{METER}[mail]\nhost = \"smtp.example.org\"\n"),
        ),
        (
            "a mail address that would inject",
            &format!("{METER}[mail]\nhost = \"smtp.example.org\"\nto = \"a@b> RCPT TO:<c@d\"\n"),
        ),
        (
            "a user without a password, over an open connection",
            &format!(
                "{METER}[mail]\nhost = \"mail.lan\"\nport = 25\nuser = \"me\"\nto = \"me@example.org\"\n"
            ),
        ),
        (
            "an access token without a user, with a password, over an open connection",
            &format!(
                "{METER}{CLIENT}[mail]\nhost = \"mail.lan\"\nport = 25\nauth = \"google\"\npassword = \"hush\"\nto = \"me@example.org\"\n"
            ),
        ),
        (
            "a mail login by an account without a grant",
            &format!(
                "{METER}[auth.box]\nuser = \"me\"\npassword = \"hush\"\n[mail]\nhost = \"smtp.example.org\"\nuser = \"me\"\nauth = \"box\"\nto = \"me@example.org\"\n"
            ),
        ),
        (
            "a mail login by an account that there is not",
            &format!(
                "{METER}{CLIENT}[mail]\nhost = \"smtp.example.org\"\nuser = \"me\"\nauth = \"gogle\"\nto = \"me@example.org\"\n"
            ),
        ),
        (
            "a mail login by credentials in place",
            &format!(
                "{METER}[mail]\nhost = \"smtp.example.org\"\nuser = \"me\"\nauth = {{ token = \"t\" }}\nto = \"me@example.org\"\n"
            ),
        ),
        (
            "mail addresses in other letters, or with a comma in a name",
            &format!(
                "{METER}[mail]\nhost = \"smtp.example.org\"\nfrom = \"me@müller.example\"\nto = [\"jürgen@example.org\", \"Müller, Ann <ann@example.org>\"]\n"
            ),
        ),
        (
            "a window that is none",
            &format!("{METER}[alert]\nmute = [\"Saturday night\"]\n"),
        ),
        (
            "an alert for a source that is none",
            &format!("{METER}[alert.source.metre]\nfailures_in_a_row = 3\n"),
        ),
        (
            "a value without a limit",
            &format!("{METER}[[alert.value]]\nkey = \"t\"\n"),
        ),
        (
            "limits that allow no value",
            &format!("{METER}[[alert.value]]\nkey = \"t\"\nabove = 1\nbelow = 2\n"),
        ),
        (
            "a rule twice",
            &format!("{METER}[[alert.stale]]\nkey = \"t\"\n[[alert.stale]]\nkey = \"t\"\n"),
        ),
        (
            "a webhook that is none",
            &format!("{METER}[alert]\nwebhook = \"ntfy.example/secret\"\n"),
        ),
        (
            "two webhooks of one name",
            &format!(
                "{METER}[[alert.webhook]]\nurl = \"https://a.example/x\"\n[[alert.webhook]]\nurl = \"https://a.example/x\"\n"
            ),
        ),
        (
            "the name of another channel",
            &format!("{METER}[[alert.webhook]]\nurl = \"https://a.example/x\"\nname = \"mail\"\n"),
        ),
        (
            "a name that is none",
            &format!(
                "{METER}[[alert.webhook]]\nurl = \"https://a.example/x\"\nname = \"my phone\"\n"
            ),
        ),
        (
            "a webhook without a URL",
            &format!("{METER}[[alert.webhook]]\nname = \"a\"\n"),
        ),
        (
            "options of the text form beside a table",
            &format!(
                "{METER}[alert]\nwebhook_format = \"text\"\n[alert.webhook]\nurl = \"https://a.example/x\"\n"
            ),
        ),
        (
            "a webhook as a text and as a table",
            &format!(
                "{METER}[alert]\nwebhook = \"https://a.example/x\"\n[[alert.webhook]]\nurl = \"https://a.example/x\"\n"
            ),
        ),
        (
            "a body and a format",
            &format!(
                "{METER}[[alert.webhook]]\nurl = \"https://a.example/x\"\nformat = \"text\"\nbody = \"{{text}}\"\n"
            ),
        ),
        (
            "a body that is no JSON",
            &format!(
                "{METER}[[alert.webhook]]\nurl = \"https://a.example/x\"\nbody = '{{\"a\": \"{{subject}}\", }}'\n"
            ),
        ),
        (
            "a GET with a body",
            &format!(
                "{METER}[[alert.webhook]]\nurl = \"https://a.example/x\"\nmethod = \"GET\"\nbody = \"x\"\n"
            ),
        ),
        (
            "a placeholder in the host",
            &format!("{METER}[[alert.webhook]]\nurl = \"https://{{node}}/x\"\n"),
        ),
        (
            "a certificate without TLS",
            &format!(
                "{METER}[[alert.webhook]]\nurl = \"http://a.example/x\"\nca_file = \"ca.pem\"\n"
            ),
        ),
        (
            "a level that is none",
            &format!(
                "{METER}[[alert.webhook]]\nurl = \"https://a.example/x\"\nlevel = \"urgent\"\n"
            ),
        ),
        (
            "no alert at all",
            &format!("{METER}[[alert.webhook]]\nurl = \"https://a.example/x\"\nonly = []\n"),
        ),
        (
            "a ping without a URL",
            &format!("{METER}[alert.ping]\nfail_url = \"/fail\"\n"),
        ),
        (
            "a list of pings",
            &format!("{METER}[[alert.ping]]\nurl = \"https://a.example/x\"\n"),
        ),
        (
            "an end of a URL that is none",
            &format!("{METER}[alert.ping]\nurl = \"https://a.example/x\"\nfail_url = \"fail\"\n"),
        ),
        (
            "one key with a dot from two sources",
            &format!(
                "{METER}[source.records]\n\"house.power\" = \"/p\"\n[[source]]\nname = \"other\"\n\
                 url = \"http://b/\"\n[source.records]\n\"house.power\" = \"/p\"\n"
            ),
        ),
        (
            "one template from two sources",
            &format!(
                "{METER}[source.records]\n\"{{id}}\" = {{ each = \"/l\", at = \"/p\" }}\n[[source]]\n\
                 name = \"other\"\nurl = \"http://b/\"\n[source.records]\n\
                 \"{{id}}\" = {{ each = \"/l\", at = \"/p\" }}\n"
            ),
        ),
        (
            "a key with a dot without quotes",
            &format!("{METER}[key.house.power]\nmerge = \"mean\"\n"),
        ),
        (
            "a key with two dots without quotes",
            &format!(
                "{METER}[key.house.power.total]\nmerge = \"mean\"\n[derived.a.b.c]\nformula = \"power\"\n"
            ),
        ),
        (
            "an option of the top below a table",
            &format!("{METER}[alert]\ntimezone = \"Europe/Berlin\"\n"),
        ),
        (
            "JSONPath that cannot be parsed, or would take long",
            &format!(
                "{METER}observed_at = \"$.time stamp\"\nnext = \"$.links[?@.day=='{{today}}'].href\"\n\
                 [source.records]\na = \"$.list[0]['a b].v\"\nb = {{ at = \"$..a..v\" }}\n\
                 c = \"$.checks[?@.name=='door'].status[?@.a].b[?@.c]\"\n\
                 d = \"$.checks[?match(@.name, 'do.r')].status\"\ne = \"$.list[(@.length-1)]\"\n\
                 \"{{id}}\" = {{ each = \"$.stations\", at = \"/wind\" }}\n\
                 f = \"$.list[?@.day=='{{today+1y}}']\"\ng = \"list[0].value\"\n"
            ),
        ),
        (
            "an alert and a login with a missing variable",
            &format!(
                "{METER}auth = {{ token = \"${{NO_SUCH}}\" }}\n[[alert.stale]]\nkey = \"${{NO_SUCH}}\"\n\
                 [[alert.display]]\nname = \"hall\"\nsilent_for = \"1 hour\"\n\
                 [[alert.display]]\nname = \"a\"\n\
                 [[alert.display]]\nname = \"b\"\nbattery_below = 3.5\n\
                 [[alert.display]]\nname = \"c\"\nbattery_below = \"12 V\"\n\
                 [[alert.display]]\nname = \"d\"\nbattery_below = \"20\"\n"
            ),
        ),
        (
            "a next page by a name",
            &format!("{METER}next = \"links.next\"\n"),
        ),
        (
            "more records than the service has memory for, and more than a source may have",
            &format!(
                "max_records = 5001\n{METER}max_records = 2\n[source.records]\na = \"/a\"\nb = \"/b\"\nc = \"/c\"\n"
            ),
        ),
        ("too many pages", &format!("{METER}pages = 101\n")),
        ("no page", &format!("{METER}pages = 0\n")),
        (
            "more pages than the quota allows requests",
            &format!("{METER}next = \"Link\"\nquota = \"9/day\"\n"),
        ),
        (
            "a next page by a pointer into text",
            &format!("{METER}format = \"csv\"\nnext = \"/next\"\n"),
        ),
        (
            "pages of a POST",
            &format!("{METER}body = {{ page = 1 }}\nnext = \"/next\"\n"),
        ),
        (
            "pages of another main-node",
            "[[source]]\nname = \"f\"\nfollow = \"http://b:8000\"\nnext = \"Link\"\npages = 3\n",
        ),
        (
            "devices with a name, and one without a value",
            "[[source]]\nname = \"plugs\"\nfor = { plug1 = \"10.0.0.1\", plug2 = 5, \"a/b\" = \"10.0.0.3\" }\n\
             url = \"http://{device}/\"\nevry = \"5m\"\n",
        ),
        (
            "devices that are all asked the same",
            "[[source]]\nfor = { plug1 = \"10.0.0.1\", plug2 = \"10.0.0.2\" }\nurl = \"http://plug.lan/\"\n\
             attribution = \"{device}\"\n",
        ),
        (
            "a device with an address that is none",
            "[[source]]\nfor = { plug1 = \"10.0.0.1\", plug2 = \"10.0.0.2:http\" }\nevery = \"5x\"\n\
             url = \"http://{device}/\"\n",
        ),
        (
            "no devices",
            "[[source]]\nfor = {}\nurl = \"http://{device}/\"\n[[source]]\nfor = \"10.0.0.1\"\nurl = \"http://{device}/\"\n",
        ),
        (
            "a prefix of all devices with {device}, and one under which their keys collide",
            "[[source]]\nfor = { a = \"1\", b = \"2\" }\nurl = \"http://h/{device}\"\nprefix = \"{device}.\"\n[[source]]\nfor = { c = \"1\", d = \"2\" }\nurl = \"http://h/{device}\"\nprefix = \"all.\"\n[source.records]\np = \"/p\"\n",
        ),
        (
            "other nodes as devices",
            "[[source]]\nfor = { a = \"a.local\" }\nfollow = \"http://{device}:8000\"\n",
        ),
        (
            "a device named like another source",
            &format!(
                "{METER}[[source]]\nfor = {{ plug = \"10.0.0.1\", meter = \"10.0.0.2\" }}\nurl = \"http://{{device}}/\"\n"
            ),
        ),
        (
            "devices with one prefix, and a placeholder without devices",
            "[[source]]\nfor = { a = \"10.0.0.1\", b = \"10.0.0.2\" }\nurl = \"http://{device}/\"\nprefix = \"\"\n\
             [source.records]\n\"house.power\" = \"/p\"\n[[source]]\nname = \"c\"\nurl = \"http://{device} /\"\n",
        ),
        (
            "a format that is none, and one that has no effect",
            concat!(
                "[[source]]\nname = \"x\"\nurl = \"http://x/\"\nformat = \"cvs\"\n",
                "[[source]]\nname = \"y\"\nurl = \"http://x/\"\nformat = 3\n",
                "[[source]]\nname = \"z\"\nfollow = \"http://x/\"\nformat = \"xml\"\n"
            ),
        ),
        (
            "quotas that are none",
            &format!(
                "{METER}quota = \"300/d\"\n{}quota = 300\n",
                METER.replace("meter", "other")
            ),
        ),
        (
            "an account that there is not",
            &format!("{METER}auth = \"solr\"\n[auth.solar]\ntoken = \"hush\"\n"),
        ),
        (
            "a credential instead of an account",
            &format!(
                "{METER}auth = \"Bearer hush\"\n{}auth = 5\n",
                METER.replace("meter", "other")
            ),
        ),
        (
            "accounts that are none",
            &format!(
                "{METER}auth = \"a\"\n[auth.a]\n[auth.b]\nuser = \"me\"\n[auth.c]\nquota = \"9/week\"\n\
                 [auth.d]\ntoken = 5\ntocken = \"hush\"\n[auth.\"e/f\"]\ntoken = \"hush\"\n\
                 [auth.g]\ntoken = \"hush\"\npassword = \"hush\"\ngrant = \"client_credentials\"\n"
            ),
        ),
        (
            "options of credentials that do not belong together",
            &format!(
                "{METER}auth = {{}}\n[auth.a]\nheader = \"X-Key: {{token}}\"\nscheme = \"basic\"\n\
                 [auth.b]\nuser = \"me\"\npassword = \"hush\"\nparam = \"key\"\nscheme = \"ntlm\"\n\
                 [auth.c]\ntoken = \"hush\"\nscheme = \"digest\"\n\
                 [auth.d]\ntoken = \"hush\"\nheader = \"X-Key: {{token}}\"\nparam = \"key\"\n"
            ),
        ),
        (
            "places of a token that are none",
            &[
                "X-Api-Key",
                "X-Api-Key: hush",
                "X Key: {token}",
                "{token}",
                "X: a\\nb {token}",
            ]
            .map(|it| format!("{METER}auth = {{ token = \"hush\", header = \"{it}\" }}\n"))
            .into_iter()
            .chain(
                ["api key", "key=hush", ""]
                    .map(|it| format!("{METER}auth = {{ token = \"hush\", param = \"{it}\" }}\n")),
            )
            .enumerate()
            .map(|(at, it)| it.replace("\"meter\"", &format!("\"m{at}\"")))
            .collect::<String>(),
        ),
        (
            "credentials at the top",
            &format!("auth = \"hush\"\n{METER}"),
        ),
        (
            "credentials at the top, as a table",
            &format!("{METER}[auth]\ntoken = \"hush\"\n"),
        ),
        (
            "options of other programs",
            &format!(
                "{METER}scan_interval = 30\nverify_ssl = false\npayload = \"a\"\nvalue_template = \"{{{{ x }}}}\"\n\
                 username = \"me\"\npassword = \"hush\"\nquery = {{ a = 1 }}\ndelimiter = \";\"\n\
                 format = \"jsonl\"\n"
            ),
        ),
        ("JSON in TOML", &format!("{METER}body = {{ \"a\": 1 }}\n")),
        ("YAML in TOML", "[[source]]\nname: a\n"),
        (
            "keys without quotes",
            &format!(
                "{METER}[source.records]\nhouse.power = \"/p\"\nroom.on = {{ at = \"/on\" }}\npath.path = \"/p\"\n"
            ),
        ),
        (
            "a key template without quotes",
            &format!("{METER}[source.records]\n{{id}}.t = \"/p\"\n"),
        ),
        (
            "a body that is nearly JSON",
            &format!("{METER}body = \"{{a: 1}}\"\n"),
        ),
        (
            "a placeholder as a variable",
            "[[source]]\nname = \"a\"\nurl = \"http://a/${today}\"\nretries = 3\n[source.records]\n\
             t = { at = \"/t\", type = \"text\" }\n",
        ),
        ("null in TOML", &format!("{METER}body = {{ a = null }}\n")),
        (
            "texts in place of tables",
            &format!(
                "{METER}params = \"a=b\"\nheaders = [\"Authorization: hush\"]\nnext = \"$.links.next\"\n\
                 [[source.records]]\nat = \"/a\"\n"
            ),
        ),
        (
            "an option of the source below its records",
            &format!("{METER}[source.records]\nt = \"/t\"\nevery = \"5m\"\nredirects = 0\n"),
        ),
        (
            "options of keys that have other names in other programs",
            &format!(
                "{METER}[key.a]\nfriendly_name = \"A\"\nname = \"A\"\nicon = \"mdi:a\"\nmin = 0\nthresholds = [1]\n\
                 precision = 1\nstate_class = \"total_increasing\"\ngroup = \"Rooms\"\n"
            ),
        ),
        (
            "options of pages that have other names in other programs",
            &format!(
                "language = \"de\"\nserve_from_sub_path = true\nuse_x_forwarded_for = true\npassword = \"hush\"\n\
                 allow_embedding = true\n{METER}[[group]]\ntitle = \"A\"\nentities = [\"a\"]\ncollapsed = true\n\
                 [[wall]]\nkeys = [\"a\"]\ntheme = \"dark\"\nrefresh = \"5s\"\n"
            ),
        ),
        (
            "tables and numbers in place of texts and lists",
            &format!(
                "{METER}[key.a]\nwarn = {{ above = 1000 }}\nrange = {{ min = 0, max = 9 }}\nshow = {{ factor = 2, unit = \"W\" }}\n\
                 [key.b]\nwarn = 1000\nbad = [10, 20]\nrange = [9, 0]\nwords = [\"Off\", \"On\"]\n\
                 [key.c]\nwarn = \">1000 W\"\nbad = [\"<2000\", \">1000\"]\n\
                 [[group]]\nname = \"A\"\nmatrix = \"a.{{row}}.{{column}}\"\nrows = [\"x\"]\n"
            ),
        ),
        (
            "a heading with the name of an option is a key without quotes",
            &format!("{METER}[key.house.range]\nlabel = \"Range\"\n"),
        ),
        (
            "bad values that hide those of warn",
            &format!(
                "{METER}[key.a]\nwarn = [\"<5\", \">10\"]\nbad = [\"<6\", \">10\"]\n\
                 [key.b]\nwarn = [\"<5\", \">10\"]\nbad = [\"<4\", \">11\"]\n"
            ),
        ),
        (
            "groups and walls without keys, and keys as a list",
            &format!(
                "{METER}[[group]]\nname = \"A\"\nkeys = []\n[[wall]]\nkeys = []\n[[key]]\nname = \"a\"\n"
            ),
        ),
        (
            "several at once",
            "lisen = \"x\"\n[[source]]\nname = 5\nurl = 7\nevery = 3\n",
        ),
    ];
    let mut messages = String::new();
    for (name, text) in cases {
        messages += &format!("== {name}\n{}\n", problems(text));
    }
    crate::golden::check("config-problems.txt", &messages);
}

/// The remarks on a valid configuration.
fn remarks(text: &str) -> String {
    let config = load_text(text, &[]).expect("it is valid");
    let line = |it: &Remark| format!("{:?}: {}\n", it.severity, it.problem);
    config.remarks.iter().map(line).collect()
}

#[test]
fn remarks_on_a_valid_configuration() {
    let records =
        "[source.records]\ntemperature = \"/t\"\n\"{id}.power\" = { each = \"/l\", at = \"/p\" }\n";
    let about = "[[alert.value]]\nkey = \"temprature\"\nabove = 30\n[[alert.stale]]\nkey = \"a.power\"\n\
                 [[alert.stale]]\nkey = \"humidity\"\n[key.temperatur]\nunit = \"K\"\n";
    let mut messages = String::new();
    for (name, text) in [
        (
            "keys that no source has",
            format!("{METER}{records}{about}"),
        ),
        (
            "keys that a source may give",
            format!("{METER}{records}[[source]]\nname = \"all\"\nurl = \"http://b/\"\n{about}"),
        ),
        (
            "keys of formulas that nothing gives",
            format!(
                "{METER}[source.records]\npower = \"/p\"\n\"living-room.t\" = \"/t\"\n\
                 [derived.a]\nformula = \"living-room.t * 2\"\n[derived.b]\nunit = \"W\"\nformula = \"powr + a\"\n\
                 [[alert.value]]\nkey = \"b\"\nabove = 5\n[key.a]\nlabel = \"A\"\n"
            ),
        ),
        (
            "a formula in the place of the one key of a window function",
            format!(
                "{METER}[source.records]\ngrid = \"/g\"\nsolar = \"/s\"\n[derived.a]\nintegral = \"grid + solar\"\nsince = \"day\"\n"
            ),
        ),
        (
            "keys of formulas that a source may give",
            format!("{METER}[derived.a]\nformula = \"power * 2\"\n"),
        ),
        (
            "braces without each",
            format!(
                "{METER}[source.records]\n\"{{id}}\" = \"/t\"\n\"{{#}}\" = {{ at = \"/u\" }}\n"
            ),
        ),
        (
            "records of another node",
            "[[source]]\nname = \"f\"\nfollow = \"http://b:8000\"\nprefix = \"f.\"\n".to_owned(),
        ),
        (
            "an account for nobody, and quotas that are shared",
            format!(
                "{METER}auth = \"solar\"\n[[source]]\nfor = {{ a = \"1\", b = \"2\" }}\nevery = \"1h\"\n\
                 url = \"http://solar.lan/{{device}}\"\nauth = \"solar\"\n[[source]]\nname = \"one\"\n\
                 url = \"http://one.lan/\"\nauth = \"one\"\n[auth.solar]\nquota = \"300/day\"\n\
                 [auth.one]\ntoken = \"hush\"\nquota = \"1000/month\"\n[auth.nobody]\ntoken = \"hush\"\n"
            ),
        ),
        (
            "devices with one prefix",
            "[[source]]\nfor = { a = \"10.0.0.1\", b = \"10.0.0.2\" }\nurl = \"http://{device}/\"\nprefix = \"p\"\n"
                .to_owned(),
        ),
        (
            "words in braces, and credentials twice",
            "[[source]]\nname = \"a\"\nurl = \"http://a/{yesterday}/{id}\"\nparams = { to = \"{nwo}\", day = \"{today}\", b = \"{{now}}\" }\n\
             headers = { authorization = \"hush\" }\nauth = { token = \"Bearer hush\" }\n"
                .to_owned(),
        ),
        (
            "a password in the URL and in auth",
            "[[source]]\nname = \"a\"\nurl = \"http://me:hush@nas.lan/v?x=a@b\"\nauth = { token = \"hush\" }\n\
             [[source]]\nname = \"b\"\nprefix = \"b.\"\nurl = \"http://me:hush@nas.lan/\"\n\
             auth = { token = \"hush\", param = \"key\" }\n\
             [[source]]\nname = \"c\"\nprefix = \"c.\"\nurl = \"http://nas.lan/a@b\"\nauth = { token = \"hush\" }\n"
                .to_owned(),
        ),
        (
            "keys of a display that no source has, and no table for its layout",
            format!(
                "{METER}[source.records]\na = \"/a\"\n[[display]]\nname = \"hall\"\nmodel = \"trmnl-og\"\nlayout = \"rooms\"\nkeys = [\"a\", \"b.*\"]\n\
                 footer = [\"c\"]\nchart = {{ key = \"d\" }}\n[[display]]\nname = \"desk\"\nsize = [400, 300]\nlayout = \"chart\"\nkeys = [\"a\"]\n\
                 [[alert.display]]\nname = \"hal\"\nsilent_for = \"1h\"\n[[alert.display]]\nname = \"desk\"\nsilent_for = \"10m\"\n"
            ),
        ),
        (
            "a display with the table of a source, which a template makes",
            format!(
                "{METER}[source.records]\n\"{{name}}.a\" = {{ each = \"\", at = \"/a\" }}\n\
                 [[display]]\nname = \"hall\"\nmodel = \"trmnl-og\"\nlayout = \"rooms\"\n"
            ),
        ),
        (
            "keys of groups and walls that no source has",
            format!(
                "{METER}{records}[derived.sum]\nformula = \"temperature * 2\"\n\
                 [[group]]\nname = \"A\"\nkeys = [\"temprature\", \"a.power\", \"a.*\", \"*.volts\", \"sum\"]\n\
                 [[group]]\nname = \"B\"\nmatrix = \"b.{{row}}.{{column}}\"\n\
                 [[group]]\nname = \"C\"\nmatrix = \"{{row}}.{{column}}\"\n\
                 [[wall]]\nkeys = [\"sum\", \"c.*\"]\ntext = [\"Hello\"]\n[key.\"d.*\"]\nunit = \"W\"\n"
            ),
        ),
        (
            "keys of groups that a source may give",
            format!(
                "{METER}[[group]]\nname = \"A\"\nkeys = [\"a\", \"b.*\"]\n\
                 [[group]]\nname = \"B\"\nmatrix = \"room.{{row}}.{{column}}\"\n\
                 [[wall]]\nname = \"w\"\nkeys = [\"c\"]\n"
            ),
        ),
        (
            "keys of two groups, and a wall that follows none",
            format!(
                "{METER}{records}[[group]]\nname = \"A\"\nkeys = [\"temp*\"]\n\
                 [[group]]\nname = \"B\"\nkeys = [\"temperature\", \"*.power\"]\n\
                 [[wall]]\nkeys = [\"temperature\"]\nrotate = \"30s\"\n"
            ),
        ),
        ("nothing", format!("{METER}{records}")),
        (
            "a source with more records than all together",
            format!("{METER}max_records = 3000\n"),
        ),
        (
            "everybody as a proxy, and a token beside no password",
            format!("trusted_proxies = [\"0.0.0.0/0\"]\ntoken = \"0123456789abcdef\"\n{METER}"),
        ),
        (
            "headers that say where the body ends",
            format!(
                "{METER}headers = {{ Content-Length = \"5\", transfer-encoding = \"chunked\" }}\n"
            ),
        ),
    ] {
        messages += &format!("== {name}\n{}", remarks(&text));
    }
    crate::golden::check("config-remarks.txt", &messages);
}

/// The table headers in a message, such as `[key."a.b"]`: up to the closing bracket outside
/// quotes.
fn headings(text: &str) -> Vec<&str> {
    let mut headings = Vec::new();
    for (at, _) in text.match_indices('[') {
        let rest = &text[at..];
        let begins = [
            "[key.",
            "[derived.",
            "[alert.",
            "[source.",
            "[[source",
            "[[alert",
        ];
        if !begins.iter().any(|it| rest.starts_with(it)) {
            continue;
        }
        let mut is_quoted = false;
        let mut depth = 0;
        let end = rest.find(|c: char| {
            is_quoted ^= c == '"';
            depth += i32::from(c == '[' && !is_quoted) - i32::from(c == ']' && !is_quoted);
            depth == 0
        });
        headings.extend(end.map(|end| &rest[..=end]));
    }
    headings
}

#[test]
fn every_table_header_in_a_message_is_valid_toml() {
    let mut count = 0;
    for file in std::fs::read_dir("tests/golden").expect("there are golden files") {
        let path = file.expect("it is listed").path();
        let is_text = path.extension().is_some_and(|it| it == "txt");
        let text = if is_text {
            std::fs::read_to_string(&path).expect("it is text")
        } else {
            continue;
        };
        for heading in headings(&text) {
            count += 1;
            let table = format!("{heading}\nx = 1\n").parse::<toml::Table>();
            assert!(table.is_ok(), "{}: {heading}", path.display());
            // `[key.NAME]` has one part for the name: a dot in it is quoted.
            let of_key = table.ok().and_then(|it| it.get("key")?.as_table().cloned());
            let inner = of_key.and_then(|it| it.values().next()?.as_table().cloned());
            assert!(inner.is_none_or(|it| it.contains_key("x")), "{heading}");
        }
    }
    assert!(count > 5, "{count} headings");
}
