//! Whole outputs for bad and odd files: `tests/golden/NAME.txt`, in sorted order of cases.
//! `UPDATE_GOLDEN=1` rewrites them; read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use openapi::command::run;

/// A case: the files it lays out, the arguments, the golden file's name.
fn check(name: &str, files: &[(&str, &str)], arguments: &[&str]) {
    check_with(name, files, arguments, || ());
}

/// A case whose directory `prepare` changes.
fn check_with(name: &str, files: &[(&str, &str)], arguments: &[&str], prepare: impl Fn()) {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    for (file, text) in files {
        fs::create_dir_all(directory.join(file).parent().unwrap()).unwrap();
        fs::write(directory.join(file), text).unwrap();
    }
    prepare();
    let prefix = format!("{}/", directory.display());
    let mut owned: Vec<String> = arguments
        .iter()
        .map(|it| {
            if it.contains('.') && !it.starts_with('-') {
                format!("{prefix}{it}")
            } else {
                (*it).to_owned()
            }
        })
        .collect();
    if !arguments.contains(&"--out") && !arguments.contains(&"--help") {
        owned.extend(["--out".to_owned(), format!("{prefix}client.rs")]);
    }
    let borrowed: Vec<&str> = owned.iter().map(String::as_str).collect();
    let outcome = run(&borrowed);
    let found = format!(
        "exit {}\n--- stdout\n{}--- stderr\n{}",
        outcome.code, outcome.stdout, outcome.stderr
    )
    .replace(&prefix, "");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(
        found,
        expected,
        "{} (UPDATE_GOLDEN=1 rewrites it)",
        golden.display()
    );
}

const SMALL: &str = "openapi: 3.0.0\ninfo: {title: Small, version: '1'}\npaths:\n  /a:\n    get:\n      operationId: getA\n      responses: {200: {description: ok, content: {application/json: {}}}}\n";

#[test]
fn a_missing_file() {
    check("missing_file", &[], &["none.yaml"]);
}

#[test]
fn a_directory() {
    check("directory", &[], &["."]);
}

#[test]
fn an_empty_file() {
    check("empty_file", &[("a.yaml", "# nothing\n")], &["a.yaml"]);
}

#[test]
fn broken_yaml() {
    check(
        "broken_yaml",
        &[("a.yaml", "openapi: 3.0.0\npaths:\n  /a: [get\n  /b: {}\n")],
        &["a.yaml"],
    );
}

#[test]
fn broken_json() {
    check(
        "broken_json",
        &[(
            "a.json",
            "{\n  \"openapi\": \"3.0.0\",\n  \"paths\": {,}\n}\n",
        )],
        &["a.json"],
    );
}

#[test]
fn no_description() {
    check("no_description", &[("a.yaml", "- a\n- b\n")], &["a.yaml"]);
}

#[test]
fn no_paths() {
    check(
        "no_paths",
        &[("a.yaml", "openapi: 3.0.0\ninfo: {title: x}\n")],
        &["a.yaml"],
    );
}

#[test]
fn empty_paths() {
    check(
        "empty_paths",
        &[("a.yaml", "openapi: 3.0.0\npaths:\n")],
        &["a.yaml"],
    );
}

#[test]
fn swagger_one() {
    check(
        "swagger_one",
        &[("a.yaml", "swagger: '1.2'\npaths: {/a: {}}\n")],
        &["a.yaml"],
    );
}

#[test]
fn nested_too_deep() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    check("nested_too_deep", &[("a.json", &deep)], &["a.json"]);
}

#[test]
fn an_unknown_operation() {
    check(
        "unknown_operation",
        &[("a.yaml", SMALL)],
        &["a.yaml", "--operations", "getB"],
    );
}

#[test]
fn an_operation_that_cannot_be_taken() {
    let text = SMALL.replace("application/json", "text/html");
    check(
        "refused_operation",
        &[("a.yaml", &text)],
        &["a.yaml", "--operations", "getA"],
    );
}

#[test]
fn a_stale_file() {
    check(
        "stale",
        &[("a.yaml", SMALL), ("client.rs", "// old\n")],
        &["a.yaml", "--check"],
    );
}

#[test]
fn wrong_arguments() {
    check("wrong_arguments", &[], &["--frobnicate"]);
}

#[test]
fn help() {
    check("help", &[], &["--help"]);
}

#[test]
fn out_that_cannot_be_written() {
    check(
        "no_out",
        &[("a.yaml", SMALL)],
        &["a.yaml", "--out", "no/such/client.rs"],
    );
}

#[test]
fn the_report_as_json() {
    check("json", &[("a.yaml", SMALL)], &["a.yaml", "--json"]);
}

/// Everything that is odd and costs at most its operation.
const ODD: &str = "\
openapi: 3.0.3
info: {title: Odd, version: 1}
paths:
  /ok/{x}:
    get:
      operationId: same
      parameters:
        - {name: y, in: path, required: true, schema: {type: string}}
        - {in: query, schema: {}}
        - {$ref: '#/components/parameters/gone'}
        - {name: q, in: query, style: curly, schema: {type: wibble}}
        - {name: Accept, in: header, schema: {type: string}}
        - {name: ahead, in: query, schema: {type: string, pattern: '^(?!api/).*'}}
        - {name: long, in: query, schema: {type: string, pattern: '^.{1,2000}$'}}
        - {name: file, in: formData, type: file}
      responses:
        200:
          description: ok
          content:
            application/json:
              schema: {$ref: 'beside.yaml#/gone'}
  /ok/{x}/again:
    get:
      operationId: same
      security: [{unheard: []}]
      responses: {'200': {description: nothing said}}
  /list-for-a-schema:
    get:
      responses: {'200': {content: {application/json: {schema: [1, 2]}}}}
  /list-for-a-schema:
    get:
      responses: {'200': {content: {application/json: {schema: {type: [array], items: {$ref: '#/components/schemas/Loop'}}}}}}
  /network:
    get: {responses: {'200': {content: {application/json: {schema: {$ref: 'https://example.net/a.yaml'}}}}}}
  /elsewhere: {$ref: 'missing/path.yaml'}
  /html: {get: {responses: {200: {content: {text/html: {}}}}}}
  /stream: {get: {responses: {200: {content: {application/x-ndjson: {}}}}}}
  /gone: {get: {responses: {204: {description: nothing}}}}
  /error: {get: {responses: {404: {description: no}}}}
  /body: {get: {requestBody: {required: true}, responses: {200: {}}}}
  /digest: {get: {security: [{digest: []}], responses: {200: {}}}}
  /text: {get: hello}
  /nothing: 5
  /no-responses: {get: {}, post: {}}
components:
  securitySchemes: {digest: {type: http, scheme: digest}}
  schemas:
    Loop: {allOf: [{$ref: '#/components/schemas/Loop'}, {type: object, properties: 7}]}
";

/// What a description refers to may be any file of the machine.
#[test]
fn texts_of_other_files_are_not_quoted() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("secrets");
    let refer = |(number, name): (usize, &str)| {
        format!(
            "  /{number}:\n    get: {{responses: {{'200': {{content: {{application/json: {{schema: \
             {{$ref: '{name}'}}}}}}}}}}}}\n"
        )
    };
    let paths = [
        "secrets.env",
        "secrets.yaml#/key",
        "secrets.json#/pins/0",
        "text.yml",
        "link.yaml",
        "../messages_outside.yaml",
        "below/good.yaml",
    ];
    let paths: String = paths.into_iter().enumerate().map(refer).collect();
    let main = format!("openapi: 3.0.0\ninfo: {{title: Small, version: '1'}}\npaths:\n{paths}");
    let link = directory.join("link.yaml");
    fs::write(directory.with_file_name("messages_outside.yaml"), "hunter2").unwrap();
    check_with(
        "secrets",
        &[
            ("a.yaml", &main),
            ("secrets.env", "METER_PASSWORD=hunter2"),
            ("secrets.yaml", "key: hunter2\n"),
            ("secrets.json", "{\"pins\": [4711]}"),
            ("text.yml", "METER_PASSWORD=hunter2\nOTHER=hunter2\n"),
            ("below/good.yaml", "{$ref: '../other.yaml'}"),
            ("other.yaml", "{type: hunter}"),
        ],
        &["a.yaml"],
        || std::os::unix::fs::symlink("secrets.env", &link).unwrap(),
    );
}

#[test]
fn each_odd_thing_is_reported_with_its_place() {
    check(
        "odd",
        &[("a.yaml", ODD), ("beside.yaml", "{}")],
        &["a.yaml"],
    );
}

#[test]
fn several_files_become_several_modules() {
    let other = SMALL.replace("openapi: 3.0.0", "swagger: '2.0'");
    check(
        "several",
        &[("a.yaml", SMALL), ("openapi.yaml", &other)],
        &["a.yaml", "openapi.yaml"],
    );
}

/// What a server's framework says wrongly, and credentials that nobody foresaw.
const MISLABELLED: &str = "\
openapi: 3.0.3
info: {title: Mislabelled, version: 1}
security: [{account: []}]
paths:
  /html: {get: {responses: {200: {content: {text/html: {schema: {$ref: '#/components/schemas/Status'}}}}}}}
  /text: {get: {responses: {200: {content: {application/text; charset=utf-8: {schema: {type: [array], items: {}}}}}}}}
  /binary: {get: {responses: {200: {content: {application/octet-stream: {schema: {type: object}}}}}}}
  /both: {get: {responses: {200: {content: {text/html: {schema: {type: object}}, application/json: {schema: {type: object}}}}}}}
  /page: {get: {responses: {200: {content: {text/html: {schema: {type: string}}}}}}}
  /file: {get: {responses: {200: {content: {application/octet-stream: {schema: {type: string, format: binary}}}}}}}
  /picture: {get: {responses: {200: {content: {image/png: {schema: {type: object}}}}}}}
  /certificate: {get: {security: [{device: []}], responses: {200: {content: {application/json: {}}}}}}
  /either: {get: {security: [{device: []}, {key: []}], responses: {200: {content: {application/json: {}}}}}}
  /pair: {get: {security: [{device: [], key: []}], responses: {200: {content: {application/json: {}}}}}}
  /open: {get: {security: [{}, {account: []}], responses: {200: {content: {application/json: {}}}}}}
components:
  securitySchemes:
    account: {type: http, scheme: token}
    device: {type: mutualTLS}
    key: {type: apiKey, in: header, name: X-Key}
  schemas:
    Status: {properties: {a: {type: number}}}
";

#[test]
fn json_under_another_name_is_taken_and_unknown_credentials_cost_no_operation() {
    check("mislabelled", &[("a.yaml", MISLABELLED)], &["a.yaml"]);
    let written = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mislabelled/client.rs");
    let written = fs::read_to_string(written).unwrap();
    assert!(written.contains("\"application/json, text/html;q=0.9\""));
    let count = |name: &str| written.matches(&format!("\"name\":\"{name}\"")).count();
    // None is left out: the certificate alone, instead of the key and with it.
    assert_eq!([count("key"), count("device")], [2, 3]);
    assert!(count("account") > 2, "what `headers` must have is known");
}

/// Where tokens come from.
const OAUTH: &str = "\
openapi: 3.0.3
info: {title: Tokens, version: 1}
paths:
  /a: {get: {security: [{oauth: []}], responses: {200: {content: {application/json: {}}}}}}
  /b: {get: {security: [{oidc: []}], responses: {200: {content: {application/json: {}}}}}}
components:
  securitySchemes:
    oauth:
      type: oauth2
      flows:
        implicit: {authorizationUrl: 'https://a.example/auth'}
        authorizationCode: {authorizationUrl: 'https://a.example/auth', tokenUrl: 'https://a.example/token'}
        clientCredentials: {tokenUrl: 'https://a.example/token'}
        password: {tokenUrl: /relative}
    oidc: {type: openIdConnect, openIdConnectUrl: 'https://a.example/.well-known/openid-configuration'}
";

/// The same in Swagger 2.0.
const SWAGGER_OAUTH: &str = "\
swagger: '2.0'
info: {title: Tokens, version: 1}
host: a.example
paths:
  /a: {get: {produces: [application/json], security: [{oauth: []}], responses: {200: {description: x, schema: {type: object}}}}}
securityDefinitions:
  oauth: {type: oauth2, flow: application, tokenUrl: 'https://a.example/token', scopes: {}}
";

#[test]
fn the_token_urls_of_oauth_are_kept_for_advice() {
    let grant =
        |name: &str| format!("{{\"grant\":\"{name}\",\"token_url\":\"https://a.example/token\"}}");
    let both = [grant("client_credentials"), grant("refresh_token")].join(",");
    let discovery = "\"discovery_url\":\"https://a.example/.well-known/openid-configuration\"";
    for (name, spec, expected) in [
        (
            "oauth",
            OAUTH,
            vec![format!("\"grants\":[{both}]"), discovery.to_owned()],
        ),
        (
            "swagger-oauth",
            SWAGGER_OAUTH,
            vec![format!("\"grants\":[{}]", grant("client_credentials"))],
        ),
    ] {
        check(name, &[("a.yaml", spec)], &["a.yaml"]);
        let written = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}/client.rs"));
        let written = fs::read_to_string(written).unwrap();
        for part in expected {
            assert!(written.contains(&part), "{part} in\n{written}");
        }
    }
}
