use super::*;
use crate::operation::{
    BodyEncoding, FieldStyle, Location, Method, Parameter, RequestBody, Response, SecurityKind,
    SecurityScheme, Server, Style, TokenGrant,
};
use crate::schema::{Literal, Property, Types};

/// A description in which everything is said that can be said.
fn everything() -> Description {
    let text = |it: &str| it.to_owned();
    let server = |url: &str| Server {
        url: text(url),
        description: text("where"),
        variables: vec![crate::operation::Variable {
            name: text("region"),
            default: text("eu"),
            values: vec![text("eu"), text("us")],
        }],
    };
    let scheme = |kind| SecurityScheme {
        name: text("key"),
        kind,
        description: text("a secret"),
        grants: vec![TokenGrant {
            grant: text("password"),
            token_url: text("https://a.example/token?a=\"b\""),
        }],
        discovery_url: text("https://a.example/"),
    };
    let parameter = |location, style| Parameter {
        argument: text("a"),
        name: text("n"),
        location,
        required: true,
        filled_by_security: true,
        style,
        explode: true,
        allow_reserved: true,
        schema: SchemaRef::new(2),
        description: text("\u{202e} \u{7f} \u{1f600} \"\n"),
        example: text("[1]"),
    };
    let operation = |id: &str, servers| Operation {
        api: text("all"),
        method: Method::Post,
        id: text(id),
        summary: text("s"),
        description: text("d"),
        path: text("/{n}"),
        servers,
        parameters: vec![
            parameter(Location::Path, Style::Matrix),
            parameter(Location::Query, Style::DeepObject),
            parameter(Location::Header, Style::Simple),
            parameter(Location::Cookie, Style::Json),
        ],
        request_body: Some(RequestBody {
            required: true,
            media_type: text("application/x-www-form-urlencoded"),
            encoding: BodyEncoding::Form,
            schema: SchemaRef::new(3),
            fields: vec![FieldStyle {
                name: text("n"),
                style: Style::PipeDelimited,
                explode: true,
            }],
            example: text("{\"a\":[1]}"),
        }),
        security: vec![
            vec![
                scheme(SecurityKind::ApiKey(Location::Cookie, text("sid"))),
                scheme(SecurityKind::Basic),
            ],
            vec![scheme(SecurityKind::Bearer)],
            vec![
                scheme(SecurityKind::Digest),
                scheme(SecurityKind::ClientCertificate),
                scheme(SecurityKind::Other(text("hoba"))),
            ],
            Vec::new(),
        ],
        accept: text("application/json"),
        responses: vec![Response {
            status: text("2XX"),
            media_type: text("text/x"),
            schema: SchemaRef::new(1),
        }],
        deprecated: true,
    };
    let rules = vec![
        Rule::Format(text("date-time")),
        Rule::Minimum(-0.5),
        Rule::Maximum(1e300),
        Rule::ExclusiveMinimum(f64::MIN_POSITIVE),
        Rule::ExclusiveMaximum(0.1),
        Rule::Enum(vec![
            Literal::Null,
            Literal::Boolean(true),
            Literal::Number(text("12345678901234567890.10")),
            Literal::Text(text("\u{2028}")),
            Literal::Json(text("[1,{\"a\":null}]")),
        ]),
        Rule::Pattern(text("^a")),
        Rule::Properties(vec![Property {
            name: text("!°"),
            required: true,
            schema: SchemaRef::new(2),
        }]),
        Rule::Closed,
        Rule::AdditionalProperties(SchemaRef::new(1)),
        Rule::Items(SchemaRef::new(2)),
        Rule::PrefixItems(vec![SchemaRef::new(1), SchemaRef::ANY]),
        Rule::Variants(vec![SchemaRef::new(1), SchemaRef::new(2)]),
        Rule::Variants(vec![SchemaRef::new(2)]),
        Rule::Discriminator(text("kind"), vec![(text("a"), 1)]),
        Rule::Default(text("\"x\"")),
        Rule::Example(text("1")),
        Rule::Description(text("°C")),
    ];
    let schema = |types, rules| Schema { types, rules };
    Description {
        api: Api {
            name: text("all"),
            title: text("All"),
            version: text("1"),
            source_file: text("all.yaml"),
            servers: vec![server("http://{region}")],
            operations: vec![
                operation("one", vec![server("http://{region}")]),
                operation("two", vec![server("/own")]),
            ],
        },
        schemas: vec![
            Schema::default(),
            schema(Types::OBJECT.or(Types::NULLABLE), rules),
            schema(Types::ANY.or(Types::NULLABLE), Vec::new()),
            schema(Types::NONE, Vec::new()),
        ],
    }
}

fn read(text: String) -> &'static Api {
    CompactApi::leak(text).read().expect("it can be read")
}

#[test]
fn what_is_written_reads_back_equal() {
    let description = everything();
    let text = write(&description);
    let api = read(text.clone());
    assert_eq!(*api, description.api);
    let bundle = api.operations[0].responses[0].schema.bundle.unwrap();
    for (id, schema) in description.schemas.iter().enumerate() {
        assert_eq!(bundle.get(id as u32), schema);
    }
    assert!(text.chars().all(|it| it == '\n' || !is_unprintable(it)));
    assert_eq!(text.split('\n').count(), 3 + 1 + 3);
}

#[test]
fn references_lead_to_the_schemas_of_their_api() {
    let api = read(write(&everything()));
    let schema = api.operations[1].response();
    assert_eq!(
        schema.properties()[0].schema.types,
        Types::ANY.or(Types::NULLABLE)
    );
    assert_eq!(schema.additional().unwrap().format(), Some("date-time"));
    // Nothing is said by a number that is not there, nor by a line that cannot be read.
    let bundle = api.operations[0].responses[0].schema.bundle.unwrap();
    assert_eq!(*bundle.get(99), Schema::default());
    let odd = crate::support::schemas("{\"types\":7}\nno JSON\n{\"types\":\"object\"}");
    assert_eq!(*odd[1], Schema::default());
    assert_eq!(*odd[2], Schema::default());
    assert_eq!(odd[3].types, Types::OBJECT);
}

#[test]
fn a_long_text_is_deflated_and_reads_the_same() {
    let mut description = everything();
    let one = description.api.operations[0].clone();
    description.api.operations.extend(vec![one; 40]);
    let text = write(&description);
    let Packed::Deflated(length, bytes) = pack(text.clone()) else {
        panic!("{} bytes are not deflated", text.len());
    };
    let deflated = Box::leak(Box::new(CompactApi::deflated(length, Vec::leak(bytes))));
    assert_eq!(deflated.read(), CompactApi::leak(text).read());
}

#[test]
fn a_damaged_text_is_an_error_and_takes_no_more_memory_than_stated() {
    let text = write(&everything());
    let deflate = |text: &str| -> &'static [u8] {
        Vec::leak(miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 10))
    };
    let bytes = deflate(&text);
    let bomb = deflate(&"\n".repeat(1 << 20));
    for (length, bytes) in [
        (text.len(), &bytes[..bytes.len() / 2]),
        (text.len(), &bytes[1..]),
        (text.len(), &[]),
        (text.len() - 1, bytes),
        (text.len() + 1, bytes),
        (64, bomb),
    ] {
        let api = Box::leak(Box::new(CompactApi::deflated(length, bytes)));
        assert!(api.read().is_err());
        assert!(read_all(&[&*api]).is_empty());
    }
    assert!(CompactApi::leak("{}".to_owned()).read().is_err());
}
