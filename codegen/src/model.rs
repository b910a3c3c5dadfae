//! The intermediate form: what fetching needs, and nothing else of OpenAPI.
//!
//! Names are final here and every reference is resolved, so that emission only writes.

pub type SchemaId = usize;

/// The schema that says nothing; always number 0.
pub const ANY: SchemaId = 0;

#[derive(Debug)]
pub struct Api {
    /// The module's name, and what a source calls the API.
    pub name: String,
    pub title: String,
    pub version: String,
    pub source_file: String,
    pub servers: Vec<Server>,
    pub operations: Vec<Operation>,
    pub schemas: Vec<Schema>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub url: String,
    pub description: String,
    pub variables: Vec<Variable>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub default: String,
    pub values: Vec<String>,
}

#[derive(Debug)]
pub struct Operation {
    pub id: String,
    /// `GetForecast`; the static is the same in capitals.
    pub type_name: String,
    pub static_name: String,
    pub summary: String,
    pub description: String,
    pub path: String,
    /// Nearest first: its own, else its path's; `None` where the API's count.
    pub servers: Option<Vec<Server>>,
    pub parameters: Vec<Parameter>,
    pub security: Vec<Vec<SecurityScheme>>,
    pub accept: String,
    /// Best first; at least one.
    pub answers: Vec<Answer>,
    pub deprecated: bool,
}

#[derive(Debug)]
pub struct Answer {
    pub status: String,
    pub media_type: String,
    pub schema: SchemaId,
}

#[derive(Debug)]
pub struct Parameter {
    pub argument: String,
    pub name: String,
    /// The field of the generated struct, an identifier already.
    pub field: String,
    pub kind: FieldType,
    pub location: Location,
    pub required: bool,
    pub filled_by_security: bool,
    pub style: Style,
    pub explode: bool,
    pub reserved: bool,
    pub schema: SchemaId,
    pub description: String,
    /// A value that its author shows, as JSON; empty without one.
    pub example: String,
}

/// The Rust type of a parameter's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    Number,
    Integer,
    Boolean,
    Text,
    Numbers,
    Integers,
    Booleans,
    Texts,
    /// What has parts or alternatives.
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    Path,
    Query,
    Header,
    Cookie,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
    TabDelimited,
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityScheme {
    pub name: String,
    pub kind: SecurityKind,
    pub description: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityKind {
    ApiKey(Location, String),
    Basic,
    Bearer,
}

#[derive(Debug, Clone)]
pub struct Schema {
    /// What to call it where it stands on its own.
    pub name: String,
    /// The file gives it that name.
    pub named: bool,
    pub types: Types,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Rule {
    Format(String),
    Minimum(Number),
    Maximum(Number),
    Above(Number),
    Below(Number),
    Enum(Vec<Literal>),
    /// And its table, empty where there is none.
    Pattern(String, Vec<u8>),
    Properties(Vec<Property>),
    Closed,
    Additional(SchemaId),
    Items(SchemaId),
    Prefix(Vec<SchemaId>),
    Variants(Vec<SchemaId>),
    Discriminator(String, Vec<(String, usize)>),
    Default(String),
    Example(String),
    Description(String),
}

/// A finite f64 as Rust spells it; text, so that it can be compared and hashed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(pub String);

impl Number {
    pub fn of(value: f64) -> Number {
        Number(format!("{value:?}"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Literal {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    Json(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Property {
    pub name: String,
    pub required: bool,
    pub schema: SchemaId,
}

/// A set of JSON types; the same bits as at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Types(pub u8);

impl Types {
    pub const NONE: Types = Types(0);
    pub const NULL: Types = Types(1);
    pub const BOOLEAN: Types = Types(2);
    pub const INTEGER: Types = Types(4);
    pub const NUMBER: Types = Types(8);
    pub const TEXT: Types = Types(16);
    pub const LIST: Types = Types(32);
    pub const OBJECT: Types = Types(64);
    pub const ANY: Types = Types(127);
    pub const NULLABLE: Types = Types(129);

    pub fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    pub fn has(self, other: Types) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn is_any(self) -> bool {
        self.0 & 127 == 127
    }

    pub fn without(self, other: Types) -> Types {
        Types(self.0 & !other.0)
    }

    /// What both allow; every number may be an integer.
    pub fn and(self, other: Types) -> Types {
        let wide = |it: Types| {
            if it.has(Types::NUMBER) {
                it.or(Types::INTEGER)
            } else {
                it
            }
        };
        let both = Types(wide(self).0 & wide(other).0);
        if both.has(Types::NUMBER) && !both.is_any() {
            both.without(Types::INTEGER)
        } else {
            both
        }
    }
}

impl Rule {
    /// The schemas that it leads to.
    pub fn children(&self) -> Vec<SchemaId> {
        match self {
            Rule::Properties(it) => it.iter().map(|property| property.schema).collect(),
            Rule::Additional(it) | Rule::Items(it) => vec![*it],
            Rule::Prefix(it) | Rule::Variants(it) => it.clone(),
            _ => Vec::new(),
        }
    }

    pub fn children_mut(&mut self) -> Vec<&mut SchemaId> {
        match self {
            Rule::Properties(it) => it.iter_mut().map(|property| &mut property.schema).collect(),
            Rule::Additional(it) | Rule::Items(it) => vec![it],
            Rule::Prefix(it) | Rule::Variants(it) => it.iter_mut().collect(),
            _ => Vec::new(),
        }
    }
}
