//! Templates of a configuration: TOML files that are valid as they are, of which single options are
//! set.
//!
//! Pure. Lines that begin with `#` and a letter or `[` are options that are off; `# ` begins prose.

/// What is above and below the sources of a new file.
pub const BEGIN: &str = include_str!("begin.toml");
pub const END: &str = include_str!("end.toml");

pub const WEATHER: &str = include_str!("weather.toml");
pub const METER: &str = include_str!("meter.toml");
pub const FOLLOW: &str = include_str!("follow.toml");

/// A template line by line.
pub struct TemplateLines(Vec<String>);

impl TemplateLines {
    pub fn new(text: &str) -> TemplateLines {
        TemplateLines(text.lines().map(str::to_owned).collect())
    }

    /// Sets an option, which may be off in the template. `value` is TOML.
    pub fn set(&mut self, option: &str, value: &str) {
        if let Some(at) = self.position(option) {
            self.0[at] = format!("{option} = {value}");
        }
    }

    /// Puts an option behind another one.
    pub fn insert_after(&mut self, option: &str, new: &str, value: &str) {
        if let Some(at) = self.position(option) {
            self.0.insert(at + 1, format!("{new} = {value}"));
        }
    }

    pub fn remove(&mut self, option: &str) {
        if let Some(at) = self.position(option) {
            self.0.remove(at);
        }
    }

    pub fn replace(&mut self, text: &str, new: &str) {
        for line in &mut self.0 {
            *line = line.replace(text, new);
        }
    }

    pub fn push(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }

    pub fn into_text(self) -> String {
        self.0.join("\n") + "\n"
    }

    fn position(&self, option: &str) -> Option<usize> {
        let is_option = |line: &String| {
            let line = line.strip_prefix('#').unwrap_or(line);
            line.split_once(" = ")
                .is_some_and(|(name, _)| name == option)
        };
        self.0.iter().position(is_option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::config::{Overrides, read};

    fn problems(text: &str) -> Vec<String> {
        let secrets = [
            "METER_TOKEN",
            "METER_PASSWORD",
            "NODE_PASSWORD",
            "SMTP_PASS",
        ];
        let secrets = secrets.map(|name| (name.to_owned(), "secret".to_owned()));
        let directory = crate::golden::scratch("init-template");
        std::fs::write(directory.join("password"), "secret\n").expect("it can be written");
        let file = Some(directory.join("main-node.toml"));
        let environment = Environment::new(secrets);
        let read = read(text, file, &Overrides::default(), environment, &[]);
        std::fs::remove_dir_all(directory).expect("its own directory");
        match read {
            Ok(config) => config
                .remarks
                .iter()
                .map(|it| it.problem.to_string())
                .collect(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    /// With the options that are off turned on, but for `other`.
    fn all_on(text: &str, other: &str) -> String {
        let is_option = |line: &str| line.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
        let on = text.lines().map(|line| match line.strip_prefix('#') {
            Some(option) if is_option(option) && !option.starts_with(other) => option,
            _ => line,
        });
        on.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_template_is_a_valid_configuration_with_its_options_off_and_on() {
        for source in [WEATHER, METER, FOLLOW] {
            let text = format!("{BEGIN}{source}{END}");
            assert_eq!(problems(&text), [""; 0], "{text}");
            for other in ["auth = ", "headers = "] {
                let text = all_on(&text, other);
                // The key of the alert is one of the weather.
                let text = text.replace("key = \"temperature\"\n", "key = \"a\"\n");
                let mut found = problems(&text);
                found.retain(|it| !it.contains("\"a\""));
                assert_eq!(found, [""; 0], "{text}");
            }
        }
    }

    #[test]
    fn options_are_set_added_and_removed() {
        let mut lines = TemplateLines::new("# b = text\nb = 1\n#c = 2\nd = 3\n");
        lines.set("c", "4");
        lines.insert_after("b", "e", "5");
        lines.remove("d");
        assert_eq!(lines.into_text(), "# b = text\nb = 1\ne = 5\nc = 4\n");
    }
}
