//! How the body of a response is written.

/// How the body of a response is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResponseFormat {
    #[default]
    Json,
    /// JSON values, one on each line.
    Ndjson,
    Csv,
    Xml,
    /// The text formats of metrics: Prometheus 0.0.4, OpenMetrics.
    Prometheus,
    Text,
}

impl ResponseFormat {
    pub const ALL: [ResponseFormat; 6] = [
        ResponseFormat::Json,
        ResponseFormat::Ndjson,
        ResponseFormat::Csv,
        ResponseFormat::Xml,
        ResponseFormat::Prometheus,
        ResponseFormat::Text,
    ];

    /// As the configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            ResponseFormat::Json => "json",
            ResponseFormat::Ndjson => "ndjson",
            ResponseFormat::Csv => "csv",
            ResponseFormat::Xml => "xml",
            ResponseFormat::Prometheus => "prometheus",
            ResponseFormat::Text => "text",
        }
    }

    /// Whether its numbers are texts that look like numbers.
    pub fn has_texts_alone(self) -> bool {
        match self {
            ResponseFormat::Csv | ResponseFormat::Xml | ResponseFormat::Text => true,
            ResponseFormat::Json | ResponseFormat::Ndjson | ResponseFormat::Prometheus => false,
        }
    }

    /// In messages: `expected CSV`.
    pub fn title(self) -> &'static str {
        match self {
            ResponseFormat::Json => "JSON",
            ResponseFormat::Ndjson => "NDJSON",
            ResponseFormat::Csv => "CSV",
            ResponseFormat::Xml => "XML",
            ResponseFormat::Prometheus => "Prometheus metrics",
            ResponseFormat::Text => "text",
        }
    }

    /// What an address of this format is called on pages.
    pub fn address(self) -> &'static str {
        match self {
            ResponseFormat::Json | ResponseFormat::Ndjson => "a JSON address",
            ResponseFormat::Csv => "a CSV address",
            ResponseFormat::Xml => "an XML address",
            ResponseFormat::Prometheus => "a metrics address",
            ResponseFormat::Text => "a text address",
        }
    }

    /// Media types to ask for (`Accept`). Others are welcome too: many servers label what they
    /// send wrongly, and some refuse what they do not know.
    pub fn accept(self) -> &'static str {
        match self {
            ResponseFormat::Json => "application/json",
            ResponseFormat::Ndjson => "application/x-ndjson, application/jsonl, */*;q=0.5",
            ResponseFormat::Csv => "text/csv, */*;q=0.5",
            ResponseFormat::Xml => "application/xml, text/xml, */*;q=0.5",
            ResponseFormat::Prometheus => "text/plain;version=0.0.4, */*;q=0.5",
            ResponseFormat::Text => "text/plain, */*;q=0.5",
        }
    }
}
