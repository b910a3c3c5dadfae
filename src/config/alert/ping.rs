//! Ping options: `[alert.ping]`, and `ping = "URL"`.

use std::path::Path;

use toml::de::DeValue;

use super::address::{add_url_secrets, is_without_tls, masked_url, read_secret_address};
use super::template::{check_template, read_body, read_method};
use crate::config::alert_types::{PingConfig, WebhookForm, WebhookMethod, content_type};
use crate::config::reader::{TableEntry, TableReader};
use crate::config::request::headers::{headers_as_toml, read_literal_headers};
use crate::config::request_types::Header;
use crate::config::secret::Secret;
use crate::config::section::{
    ConfigOption, OptionReader, masked, path, print_options, read_options, text,
};
use crate::config::trust::{self, print_fingerprints, read_fingerprints, reject_without_tls};
use crate::domain::redact::MASK;
use crate::domain::template::TemplatePlace;
use crate::sys::tls::TrustSettings;

/// `[alert.ping]` while it is read.
#[derive(Default)]
pub struct PingDraft {
    url: Option<Secret>,
    fail_url: Option<String>,
    method: Option<WebhookMethod>,
    headers: Vec<Header>,
    body: Option<Secret>,
    trust: TrustSettings,
}

type PingOption = ConfigOption<PingDraft, PingConfig>;

/// Options of `[alert.ping]`.
pub static PING_OPTIONS: [PingOption; 7] = [
    PingOption::new(
        "url",
        "URL",
        "required",
        "\"https://hc-ping.com/00000000-0000-0000-0000-000000000000\"",
        "Heartbeat URL of the monitoring service, requested once a minute while all is well. It is never shown. It may have the placeholders of `body`.",
        |draft, option| draft.url = read_url(option),
        |ping| text(&masked_url(&ping.url)),
    ),
    PingOption::new(
        "fail_url",
        "URL, or its end",
        "none (nothing is sent while the node is not well)",
        "\"/fail\"",
        "URL that is requested once a minute instead of `url` while the node is not well: no source has fresh values, or a part of it hangs, for more than two minutes. A text that begins with `/` is added to the path of `url`, as healthchecks.io has it; one that begins with `?` replaces its query, as Uptime Kuma and Gatus have it.",
        |draft, option| draft.fail_url = option.text(),
        |ping| text(&masked_url(ping.fail_url.as_ref()?)),
    ),
    PingOption::new(
        "method",
        "\"GET\", \"POST\" or \"PUT\"",
        "\"GET\" (\"POST\" with `body`)",
        "\"POST\"",
        "HTTP method of the request.",
        |draft, option| draft.method = read_method(option),
        |ping| text(ping.method.name()),
    ),
    PingOption::new(
        "headers",
        "table of texts",
        "none",
        "{ Authorization = \"Bearer my-secret\" }",
        "HTTP headers. Values are never shown.",
        |draft, option| {
            let entry = option.entry();
            draft.headers = entry.iter().flat_map(read_literal_headers).collect();
        },
        |ping| headers_as_toml(&ping.headers),
    ),
    PingOption::new(
        "body",
        "text",
        "none",
        "\"{node}: {text}\"",
        "Body of the request. Placeholders: `{ok}` is `true` while all is well, else `false`; `{text}` says what is wrong, or `OK`; `{node}` is the name of this node and `{page}` the address of its page. They are escaped as the body needs it (JSON, form). It is never shown.",
        |draft, option| draft.body = read_body(option),
        |ping| masked(ping.body.as_ref()),
    ),
    PingOption::new(
        "ca_file",
        "file",
        "none (the system's root certificates)",
        "\"home-ca.pem\"",
        trust::CA_FILE_HELP,
        |draft, option| draft.trust.ca_file = option.path(),
        |ping| path(ping.trust.ca_file.as_deref()?),
    ),
    PingOption::new(
        "fingerprint",
        "text, or list of texts",
        "none",
        trust::EXAMPLE,
        trust::CHANNEL_FINGERPRINT_HELP,
        |draft, option| draft.trust.fingerprints = read_fingerprints(option),
        |ping| print_fingerprints(&ping.trust.fingerprints),
    ),
];

/// `ping` of `[alert]`: a URL or a table.
pub fn read_ping(option: &mut OptionReader<'_, '_>) -> Option<PingConfig> {
    let directory = option.directory;
    let entry = option.entry()?;
    match entry.value() {
        DeValue::Table(_) => read_table(&entry, directory),
        DeValue::Array(_) => {
            entry.problem("there is one ping: write [alert.ping], not [[alert.ping]]");
            None
        }
        DeValue::String(_) => Some(PingConfig {
            form: WebhookForm::Text,
            url: read_secret_address(option)?,
            fail_url: None,
            method: WebhookMethod::Get,
            headers: Vec::new(),
            body: None,
            trust: TrustSettings::default(),
        }),
        _ => {
            entry.expected("a URL, or a table [alert.ping]");
            None
        }
    }
}

fn read_table(entry: &TableEntry<'_>, directory: &Path) -> Option<PingConfig> {
    let mut table = entry.table("[alert.ping]")?;
    let mut draft = PingDraft::default();
    read_options(&PING_OPTIONS, &mut table, directory, &mut draft);
    let fail_url = draft
        .fail_url
        .take()
        .zip(draft.url.as_ref())
        .and_then(|(end, url)| read_fail_url(&mut table, url.reveal(), &end));
    if let Some(entry) = table.get("fail_url")
        && fail_url.is_some()
        && fail_url.as_ref().map(Secret::reveal) == draft.url.as_ref().map(Secret::reveal)
        && !says_how_it_is(&draft)
    {
        entry.problem("fail_url: it is `url`, so the service could not tell whether all is well: expected another URL, or {ok} or {text} in `url` or `body`");
    }
    if draft.url.as_ref().is_some_and(is_without_tls) {
        reject_without_tls(
            &mut table,
            &["ca_file", "fingerprint"],
            "write https:// in `url`",
        );
    }
    let method = draft.method;
    if let (Some(WebhookMethod::Get), Some(entry)) = (method, table.get("body")) {
        entry.problem("a GET has no body: remove `method`, or write method = \"POST\"");
    }
    if let (Some(body), Some(entry)) = (&draft.body, table.get("body")) {
        let content_type = content_type(&draft.headers);
        let place = TemplatePlace::of_body(content_type, body.reveal());
        check_template(&entry, body.reveal(), place, &PingConfig::PLACEHOLDERS);
    }
    table.finish();
    let default = if draft.body.is_some() {
        WebhookMethod::Post
    } else {
        WebhookMethod::Get
    };
    Some(PingConfig {
        form: WebhookForm::Table,
        url: draft.url?,
        fail_url,
        method: method.unwrap_or(default),
        headers: draft.headers,
        body: draft.body,
        trust: draft.trust,
    })
}

fn read_url(option: &mut OptionReader<'_, '_>) -> Option<Secret> {
    let Some(entry) = option.entry() else {
        option
            .table
            .problem("[alert.ping] needs url = \"https://…\"");
        return None;
    };
    let url = read_secret_address(option)?;
    check_template(
        &entry,
        url.reveal(),
        TemplatePlace::Url,
        &PingConfig::PLACEHOLDERS,
    );
    Some(url)
}

/// `fail_url` with what it takes from `url`.
fn read_fail_url(table: &mut TableReader<'_>, url: &str, end: &str) -> Option<Secret> {
    let entry = table.get("fail_url")?;
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (url, None),
    };
    let whole = if end.starts_with('/') {
        let query = query.map(|query| format!("?{query}"));
        let address = address.trim_end_matches('/');
        format!("{address}{end}{}", query.unwrap_or_default())
    } else if end.starts_with('?') {
        format!("{address}{end}")
    } else {
        end.to_owned()
    };
    let is_url = ["https://", "http://"]
        .iter()
        .any(|it| whole.starts_with(it))
        && whole.parse::<ureq::http::Uri>().is_ok();
    if !is_url {
        entry.problem(
            "fail_url: expected a URL, or what is added to `url`: \"/fail\", \"?status=down\"",
        );
        return None;
    }
    add_url_secrets(entry.reader(), &whole);
    check_template(
        &entry,
        &whole,
        TemplatePlace::Url,
        &PingConfig::PLACEHOLDERS,
    );
    Some(Secret::new(whole))
}

/// Whether the request itself may say whether all is well.
fn says_how_it_is(draft: &PingDraft) -> bool {
    // As `check` prints it: what the address holds is not known.
    let is_masked = |url: &Secret| url.reveal().contains(MASK);
    if draft.url.as_ref().is_some_and(is_masked) {
        return true;
    }
    let texts = [draft.url.as_ref(), draft.body.as_ref()];
    let mut texts = texts.into_iter().flatten().map(Secret::reveal);
    texts.any(|text| ["{ok}", "{text}"].iter().any(|it| text.contains(it)))
}

/// Prints `[alert.ping]`.
pub fn print_ping(out: &mut String, ping: Option<&PingConfig>) {
    if let Some(ping) = ping.filter(|it| it.form == WebhookForm::Table) {
        out.push_str("\n[alert.ping]\n");
        print_options(out, &PING_OPTIONS, ping);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::support::{METER, problems};

    #[test]
    fn a_fail_url_must_differ_where_the_request_does_not_say_how_it_is() {
        for (ping, is_wrong) in [
            ("fail_url = \"https://a.lan/x\"", true),
            ("fail_url = \"https://a.lan/y\"", false),
            ("fail_url = \"/fail\"", false),
            (
                "fail_url = \"https://a.lan/x\"\nbody = \"all is well: {ok}\"",
                false,
            ),
        ] {
            let text = format!("{METER}[alert.ping]\nurl = \"https://a.lan/x\"\n{ping}\n");
            let found = problems(&text).contains("could not tell whether all is well");
            assert_eq!(found, is_wrong, "{ping}");
        }
    }
}
