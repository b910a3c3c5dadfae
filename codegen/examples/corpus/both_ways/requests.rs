//! Whether both ways send the same requests, and refuse the same arguments with the same words.

use openapi::operation::{
    Argument, BodyEncoding, Operation, Parameter, Style, check_arguments, check_body, fits,
};
use openapi::schema::Literal;
use serde_json::Value;

use crate::api::request::{Call, Credential, Endpoint, PreparedCall, send};

use super::structure::compared;
use super::values::{Choice, spoil, value};
use super::wire::Wire;
use super::{Depth, Tally};

type Arguments = Vec<(String, Argument)>;

const ODD_TEXT: &str = "ä/ö ?&=#%2F+,;|\"<>\\^`{}~[]:@!$'()*";

/// One operation both ways.
pub struct Pair<'a> {
    pub compiled: &'static Operation,
    pub lowered: &'static Operation,
    pub call: &'static Call,
    pub wire: &'a Wire,
    pub depth: Depth,
}

impl Pair<'_> {
    /// Sends every case both ways; the first difference.
    pub fn difference(&self, tally: &mut Tally) -> Option<String> {
        let endpoints = endpoints(self.compiled);
        let bodies = bodies(self.compiled);
        let required = required(self.compiled);
        let body = bodies.first();
        let mut is_sent = false;
        let every = cases(self.compiled, &required, self.depth);
        for (number, arguments) in every.iter().enumerate() {
            let endpoint = &endpoints[number % endpoints.len()];
            match self.one(arguments, body, endpoint, tally) {
                Ok(was_sent) => is_sent |= was_sent,
                found => return found.err(),
            }
        }
        let wanted = self.compiled.request_body.is_some() || self.depth == Depth::Every;
        let bodies = bodies.iter().map(Some).chain([None]);
        for body in bodies.filter(|_| wanted) {
            for endpoint in &endpoints {
                match self.one(&required, body, endpoint, tally) {
                    Ok(was_sent) => is_sent |= was_sent,
                    found => return found.err(),
                }
            }
        }
        if !is_sent && self.depth == Depth::Every {
            let problem = PreparedCall::new(self.compiled, &required, body).err();
            let problem = problem.map_or("the HTTP library refuses it".to_owned(), |it| it.message);
            tally.unsent.push(problem);
        }
        None
    }

    /// Whether it was sent, or how it differs.
    fn one(
        &self,
        arguments: &Arguments,
        body: Option<&Argument>,
        to: &Endpoint,
        tally: &mut Tally,
    ) -> Result<bool, String> {
        let what = || format!("arguments {arguments:?} body {body:?} to {to:?}");
        let problems = [self.compiled, self.lowered].map(|it| check_arguments(it, arguments));
        if problems[0] != problems[1] {
            let what = format!("problems of {}", what());
            return Err(compared(&what, &problems[0], &problems[1]));
        }
        let compiled = PreparedCall::new(self.compiled, arguments, body);
        let lowered = PreparedCall::new(self.lowered, arguments, body);
        let sent = match (&compiled, &lowered) {
            (Ok(compiled), Ok(lowered)) => [
                self.wire
                    .record(|agent| (self.call.send)(compiled, to, agent)),
                self.wire.record(|agent| send(lowered, to, agent)),
            ],
            (Err(one), Err(other)) if one == other => {
                tally.refusals += 1;
                return Ok(false);
            }
            (one, other) => {
                let [one, other] = [one, other].map(|it| it.as_ref().err());
                return Err(compared(&format!("preparing {}", what()), one, other));
            }
        };
        // Errors of the HTTP library have no equality.
        let sent = sent.map(|it| it.map_err(|error| error.to_string()));
        if sent[0] != sent[1] {
            let what = format!("request of {}", what());
            return Err(compared(&what, &sent[0], &sent[1]));
        }
        tally.requests += 1;
        Ok(sent[0].is_ok())
    }

    /// What is said of bodies, spoiled ones too.
    pub fn bodies_difference(&self, tally: &mut Tally) -> Option<String> {
        let declared = self.compiled.request_body.as_ref()?;
        let (places, ways) = self.depth.spoiling();
        let mut found = None;
        for pick in 0..2 {
            let choice = Choice {
                is_full: pick == 1,
                pick,
            };
            let body = value(declared.schema.get(), choice);
            spoil(&body, places, ways, &mut |body, place| {
                let said = [self.compiled, self.lowered].map(|it| check_body(it, Some(body)));
                tally.judgements += 1;
                if said[0] != said[1] && found.is_none() {
                    let what = format!("problems of a body spoiled at {place:?}");
                    found = Some(compared(&what, &said[0], &said[1]));
                }
            });
        }
        found
    }
}

/// No credentials; each scheme alone; each alternative; all of them, at the file's own server.
fn endpoints(operation: &Operation) -> Vec<Endpoint> {
    let to = |credentials: Vec<Credential>| Endpoint {
        base: "http://device.test:8080/base/".to_owned(),
        headers: Vec::new(),
        credentials,
    };
    let secret = "s&cr=t ä/+";
    let mut all: Vec<Credential> = Vec::new();
    let mut endpoints = vec![to(Vec::new())];
    for alternative in &operation.security {
        let filled = |it| Credential::fill(it, "user:ä", secret);
        let filled: Vec<Credential> = alternative.iter().filter_map(filled).collect();
        for one in &filled {
            if !all.contains(one) {
                all.push(one.clone());
                endpoints.push(to(vec![one.clone()]));
            }
        }
        if filled.len() > 1 {
            endpoints.push(to(filled));
        }
    }
    let mut last = to(all);
    last.base = operation
        .base_url(None)
        .or_else(|_| operation.base_url(Some("https://device.test/?fixed=1#f")))
        .unwrap_or_default();
    last.headers = vec![("ACCEPT".to_owned(), "text/html".to_owned())];
    endpoints.push(last);
    endpoints
}

/// Bodies that fit, each as a table and, where JSON is sent, as a text.
fn bodies(operation: &Operation) -> Vec<Argument> {
    let Some(declared) = &operation.request_body else {
        return Vec::new();
    };
    let schema = declared.schema.get();
    let mut values: Vec<Value> = serde_json::from_str(&declared.example)
        .into_iter()
        .collect();
    for (is_full, pick) in [(false, 0), (true, 0), (true, 1), (true, 2)] {
        values.push(value(schema, Choice { is_full, pick }));
    }
    values.dedup();
    let fits = |it: &Value| check_body(operation, Some(it)).is_empty();
    values.sort_by_key(|it| !fits(it));
    let mut bodies: Vec<Argument> = values.iter().map(argument).collect();
    match declared.encoding {
        BodyEncoding::Json => bodies.extend(values.iter().map(|it| Argument::Text(it.to_string()))),
        BodyEncoding::Form => {}
        BodyEncoding::Text => bodies.insert(0, Argument::Text(ODD_TEXT.to_owned())),
    }
    bodies
}

/// What has to be given, with values that fit where some do.
fn required(operation: &Operation) -> Arguments {
    let needed = operation.parameters.iter().filter(|it| it.required);
    needed
        .map(|it| (it.argument.clone(), fitting(operation, it, 0)))
        .collect()
}

/// A value that fits a parameter: which one depends on `pick`.
fn fitting(operation: &Operation, parameter: &Parameter, pick: usize) -> Argument {
    let shown = [parameter.example.as_str()]
        .into_iter()
        .filter(|_| pick == 0);
    let shown = shown.filter_map(|it| serde_json::from_str(it).ok());
    let made = (0..8).map(|more| {
        let choice = Choice {
            is_full: pick > 0,
            pick: pick + more,
        };
        value(parameter.schema.get(), choice)
    });
    let mut candidates = shown.chain(made).map(|it| argument(&it));
    let first = Argument::Text("a".to_owned());
    candidates
        .find(|it| fits(operation, parameter, it))
        .unwrap_or(first)
}

/// Null has no argument: nobody writes it.
fn argument(value: &Value) -> Argument {
    match value {
        Value::Null => Argument::Text("null".to_owned()),
        Value::Bool(it) => Argument::Boolean(*it),
        Value::String(it) => Argument::Text(it.clone()),
        Value::Number(it) => match (it.as_i64(), it.as_f64()) {
            (Some(it), _) => Argument::Integer(it),
            (None, Some(it)) => Argument::Number(it),
            (None, None) => Argument::Text(it.to_string()),
        },
        Value::Array(it) => Argument::List(it.iter().map(argument).collect()),
        Value::Object(it) => {
            let fields = it.iter().map(|(name, it)| (name.clone(), argument(it)));
            Argument::Object(fields.collect())
        }
    }
}

/// Arguments that fit, then such that mostly do not.
fn cases(operation: &Operation, required: &Arguments, depth: Depth) -> Vec<Arguments> {
    let mut cases = vec![required.clone()];
    for pick in 0..3 {
        let all = operation.parameters.iter();
        let all = all.map(|it| (it.argument.clone(), fitting(operation, it, pick)));
        cases.push(all.collect());
    }
    let mut add = |name: &str, argument: Argument| {
        let mut case = required.clone();
        case.retain(|(given, _)| given != name);
        case.push((name.to_owned(), argument));
        cases.push(case);
    };
    for parameter in &operation.parameters {
        let name = &parameter.argument;
        for pick in 0..2 {
            add(name, fitting(operation, parameter, pick));
        }
        let several = (0..3).map(|pick| fitting(operation, parameter, pick));
        add(name, Argument::List(several.collect()));
        for (number, wrong) in wrong_arguments(parameter).into_iter().enumerate() {
            if depth == Depth::Every || number % 5 == name.len() % 5 {
                add(name, wrong);
            }
        }
    }
    if let Some(parameter) = operation.parameters.first() {
        add(&format!("{}x", parameter.argument), Argument::Integer(1));
    }
    add("no such parameter", Argument::Integer(1));
    for (at, twice) in required.iter().enumerate() {
        let mut less = required.clone();
        less.remove(at);
        cases.push(less);
        cases.push(required.iter().chain([twice]).cloned().collect());
    }
    cases
}

fn wrong_arguments(parameter: &Parameter) -> Vec<Argument> {
    let text = |it: &str| Argument::Text(it.to_owned());
    let listed = parameter.schema.literals().iter();
    let misspelt = listed.filter_map(|it| match it {
        Literal::Text(it) => Some(text(&format!("{it}x"))),
        _ => None,
    });
    let field = |name: &str, value| (name.to_owned(), value);
    let mut wrong = vec![
        text(""),
        text("."),
        text("a\r\nEvil: 1"),
        text(ODD_TEXT),
        text("12"),
        text("true"),
        Argument::Integer(-1_000_000_007),
        Argument::Integer(9_007_199_254_740_993),
        Argument::Number(0.25),
        Argument::Number(-1e300),
        Argument::Boolean(true),
        Argument::List(Vec::new()),
        Argument::List(vec![
            text(ODD_TEXT),
            Argument::Integer(2),
            Argument::Boolean(false),
        ]),
        Argument::Object(vec![
            field("a ä", Argument::Integer(1)),
            field(
                "b",
                Argument::List(vec![text("x,y"), Argument::Object(Vec::new())]),
            ),
        ]),
    ];
    wrong.extend(misspelt.take(1));
    if parameter.style == Style::Json {
        wrong.push(text("{\"a\": [1, \"ä\"]}"));
    }
    wrong
}
