//! Parser for systemd environment files (systemd.exec(5), `EnvironmentFile=`): `NAME=value`,
//! quotes, line continuations, comments. Not for `.env`, which expands `$NAME` within values.

/// The variables of an environment file, in order. Lines without `=` are skipped, as in
/// systemd.
pub fn parse(text: &str) -> Vec<(String, String)> {
    let mut parser = Parser::default();
    let mut state = ParserState::BeforeKey;
    for c in text.chars().chain(['\n']) {
        state = parser.step(state, c);
    }
    parser.found
}

#[derive(Clone, Copy)]
enum ParserState {
    BeforeKey,
    Comment,
    CommentEscape,
    Key,
    BeforeValue,
    Value,
    ValueEscape,
    SingleQuoted,
    DoubleQuoted,
    DoubleQuotedEscape,
}

#[derive(Default)]
struct Parser {
    key: String,
    value: String,
    /// Start of trailing whitespace, which is not part of the value.
    blanks_from: Option<usize>,
    found: Vec<(String, String)>,
}

impl Parser {
    fn step(&mut self, state: ParserState, c: char) -> ParserState {
        let is_line_end = matches!(c, '\n' | '\r');
        match state {
            ParserState::BeforeKey => match c {
                '#' | ';' => ParserState::Comment,
                _ if c.is_ascii_whitespace() => ParserState::BeforeKey,
                _ => {
                    self.key.push(c);
                    ParserState::Key
                }
            },
            ParserState::Comment if c == '\\' => ParserState::CommentEscape,
            ParserState::Comment if is_line_end => ParserState::BeforeKey,
            ParserState::Comment | ParserState::CommentEscape => ParserState::Comment,
            ParserState::Key if is_line_end => {
                self.key.clear();
                ParserState::BeforeKey
            }
            ParserState::Key if c == '=' => ParserState::BeforeValue,
            ParserState::Key => {
                self.key.push(c);
                ParserState::Key
            }
            ParserState::BeforeValue | ParserState::Value if is_line_end => self.end(),
            ParserState::BeforeValue => match c {
                '\'' => ParserState::SingleQuoted,
                '"' => ParserState::DoubleQuoted,
                '\\' => ParserState::ValueEscape,
                ' ' | '\t' => ParserState::BeforeValue,
                _ => self.push(c),
            },
            ParserState::Value => match c {
                '\\' => {
                    self.blanks_from = None;
                    ParserState::ValueEscape
                }
                ' ' | '\t' => {
                    self.blanks_from.get_or_insert(self.value.len());
                    self.value.push(c);
                    ParserState::Value
                }
                _ => self.push(c),
            },
            ParserState::ValueEscape if is_line_end => ParserState::Value,
            ParserState::ValueEscape => self.push(c),
            ParserState::SingleQuoted if c == '\'' => ParserState::BeforeValue,
            ParserState::SingleQuoted => {
                self.value.push(c);
                ParserState::SingleQuoted
            }
            ParserState::DoubleQuoted => match c {
                '"' => ParserState::BeforeValue,
                '\\' => ParserState::DoubleQuotedEscape,
                _ => {
                    self.value.push(c);
                    ParserState::DoubleQuoted
                }
            },
            ParserState::DoubleQuotedEscape => {
                if !matches!(c, '"' | '\\' | '`' | '$' | '\n') {
                    self.value.push('\\');
                }
                if c != '\n' {
                    self.value.push(c);
                }
                ParserState::DoubleQuoted
            }
        }
    }

    fn push(&mut self, c: char) -> ParserState {
        self.blanks_from = None;
        self.value.push(c);
        ParserState::Value
    }

    /// Ends the current value.
    fn end(&mut self) -> ParserState {
        if let Some(at) = self.blanks_from.take() {
            self.value.truncate(at);
        }
        let key = std::mem::take(&mut self.key).trim_end().to_owned();
        self.found.push((key, std::mem::take(&mut self.value)));
        ParserState::BeforeKey
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_files_are_parsed_as_in_systemd() {
        let text = "\
# comment\\
still comment
; another
PLAIN=hush
 INDENTED = with blanks \t
DOLLAR=pa$word#1
SINGLE='a \"b\" \\n'  \n\
DOUBLE=\"a \\\"b\\\" \\$c \\n\"
JOINED='one'\"two\"
CONTINUED=one\\
two
ESCAPED=a\\ b\\
NOTHING=
no variable
EMPTY=
CRLF=x\r
LAST=y";
        let expected = [
            ("PLAIN", "hush"),
            ("INDENTED", "with blanks"),
            ("DOLLAR", "pa$word#1"),
            ("SINGLE", "a \"b\" \\n"),
            ("DOUBLE", "a \"b\" $c \\n"),
            ("JOINED", "onetwo"),
            ("CONTINUED", "onetwo"),
            ("ESCAPED", "a bNOTHING="),
            ("EMPTY", ""),
            ("CRLF", "x"),
            ("LAST", "y"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(text), expected);
    }
}
