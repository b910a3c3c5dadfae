//! systemd's environment files (systemd.exec(5), `EnvironmentFile=`): `NAME=value`, quotes,
//! continued lines, comments. Not `.env`, which replaces `$NAME` within values.

/// The variables of such a file, in order. Lines without `=` are left out, as systemd does.
pub fn parse(text: &str) -> Vec<(String, String)> {
    let mut parser = Parser::default();
    let mut state = State::BeforeKey;
    for c in text.chars().chain(['\n']) {
        state = parser.step(state, c);
    }
    parser.found
}

#[derive(Clone, Copy)]
enum State {
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
    /// Where blanks begin at the end of the value, which are not part of it.
    blanks_from: Option<usize>,
    found: Vec<(String, String)>,
}

impl Parser {
    fn step(&mut self, state: State, c: char) -> State {
        let is_line_end = matches!(c, '\n' | '\r');
        match state {
            State::BeforeKey => match c {
                '#' | ';' => State::Comment,
                _ if c.is_ascii_whitespace() => State::BeforeKey,
                _ => {
                    self.key.push(c);
                    State::Key
                }
            },
            State::Comment if c == '\\' => State::CommentEscape,
            State::Comment if is_line_end => State::BeforeKey,
            State::Comment | State::CommentEscape => State::Comment,
            State::Key if is_line_end => {
                self.key.clear();
                State::BeforeKey
            }
            State::Key if c == '=' => State::BeforeValue,
            State::Key => {
                self.key.push(c);
                State::Key
            }
            State::BeforeValue | State::Value if is_line_end => self.end(),
            State::BeforeValue => match c {
                '\'' => State::SingleQuoted,
                '"' => State::DoubleQuoted,
                '\\' => State::ValueEscape,
                ' ' | '\t' => State::BeforeValue,
                _ => self.take(c),
            },
            State::Value => match c {
                '\\' => {
                    self.blanks_from = None;
                    State::ValueEscape
                }
                ' ' | '\t' => {
                    self.blanks_from.get_or_insert(self.value.len());
                    self.value.push(c);
                    State::Value
                }
                _ => self.take(c),
            },
            State::ValueEscape if is_line_end => State::Value,
            State::ValueEscape => self.take(c),
            State::SingleQuoted if c == '\'' => State::BeforeValue,
            State::SingleQuoted => {
                self.value.push(c);
                State::SingleQuoted
            }
            State::DoubleQuoted => match c {
                '"' => State::BeforeValue,
                '\\' => State::DoubleQuotedEscape,
                _ => {
                    self.value.push(c);
                    State::DoubleQuoted
                }
            },
            State::DoubleQuotedEscape => {
                if !matches!(c, '"' | '\\' | '`' | '$' | '\n') {
                    self.value.push('\\');
                }
                if c != '\n' {
                    self.value.push(c);
                }
                State::DoubleQuoted
            }
        }
    }

    fn take(&mut self, c: char) -> State {
        self.blanks_from = None;
        self.value.push(c);
        State::Value
    }

    /// A value is over.
    fn end(&mut self) -> State {
        if let Some(at) = self.blanks_from.take() {
            self.value.truncate(at);
        }
        let key = std::mem::take(&mut self.key).trim_end().to_owned();
        self.found.push((key, std::mem::take(&mut self.value)));
        State::BeforeKey
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_systemd_reads_it() {
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
