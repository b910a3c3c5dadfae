//! Plain text and HTML of a message, rendered from the same blocks.

/// A part of a message.
pub enum Block {
    Heading(String),
    Paragraph(String),
    List(String, Vec<String>),
    Values(String, Vec<[String; 3]>),
    Link(String),
    Small(String),
}

pub fn render_text(blocks: &[Block]) -> String {
    let parts: Vec<String> = blocks
        .iter()
        .map(|block| match block {
            Block::Heading(heading) => {
                format!("{heading}\n{}", "-".repeat(heading.chars().count()))
            }
            Block::Paragraph(text) => wrap(text),
            Block::List(title, items) => {
                let items: Vec<String> = items.iter().map(|item| format!("  - {item}")).collect();
                format!("{title}:\n{}", items.join("\n"))
            }
            Block::Values(title, rows) => {
                let width = |column: usize| {
                    let cells = rows.iter().map(|row| row[column].chars().count());
                    cells.max().unwrap_or(0)
                };
                let (keys, values) = (width(0), width(1));
                let rows: Vec<String> = rows
                    .iter()
                    .map(|[key, value, when]| format!("  {key:keys$}  {value:values$}  ({when})"))
                    .collect();
                format!("{title}:\n{}", rows.join("\n"))
            }
            Block::Link(url) => url.clone(),
            Block::Small(text) => format!("-- \n{text}"),
        })
        .collect();
    parts.join("\n\n") + "\n"
}

/// Text for screens of any width: lines are not wrapped, columns not aligned. It has no link.
pub fn render_chat_text(blocks: &[Block]) -> String {
    let parts = blocks.iter().filter_map(|block| match block {
        Block::Heading(text) | Block::Paragraph(text) | Block::Small(text) => Some(text.clone()),
        Block::List(title, items) => {
            let items: Vec<String> = items.iter().map(|item| format!("- {item}")).collect();
            Some(format!("{title}:\n{}", items.join("\n")))
        }
        Block::Values(title, rows) => {
            let rows = rows.iter();
            let rows = rows.map(|[key, value, when]| format!("- {key}: {value} ({when})"));
            Some(format!("{title}:\n{}", rows.collect::<Vec<_>>().join("\n")))
        }
        Block::Link(_) => None,
    });
    parts.collect::<Vec<_>>().join("\n\n")
}

/// Wraps a paragraph at 72 columns, for mail programs and terminals.
fn wrap(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > 72 {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += width;
    }
    lines
}

pub fn render_html(blocks: &[Block]) -> String {
    maud::html! {
        (maud::DOCTYPE)
        html lang="en" {
            body style="font-family: sans-serif; max-width: 40em" {
                @for block in blocks {
                    @match block {
                        Block::Heading(heading) => h2 { (heading) },
                        Block::Paragraph(text) => p { (text) },
                        Block::List(title, items) => {
                            p { (title) ":" }
                            ul { @for item in items { li { (item) } } }
                        },
                        Block::Values(title, rows) => {
                            p { (title) ":" }
                            table {
                                @for row in rows { tr { @for cell in row { td { (cell) } } } }
                            }
                        },
                        Block::Link(url) => p { a href=(url) { (url) } },
                        Block::Small(text) => p { small { (text) } },
                    }
                }
            }
        }
    }
    .into_string()
}
