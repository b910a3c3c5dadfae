//! Environment variables that look like those of options and are none.

use super::other_names;
use super::problem::Severity;
use super::reader::ConfigReader;
use super::top_level;
use openapi::operation::nearest;

const PREFIX: &str = "MAIN_NODE_";

/// What Kubernetes sets for a service with the name `main-node`.
const KUBERNETES: [&str; 2] = ["MAIN_NODE_SERVICE_", "MAIN_NODE_PORT_"];

/// Notes every variable `MAIN_NODE_…` that no option has and that the file does not use.
pub fn warn_unknown_variables(reader: &ConfigReader<'_>, text: &str) {
    let options = || top_level::OPTIONS.iter();
    let known: Vec<&str> = options().filter_map(|option| option.variable).collect();
    let has_variable =
        |name: &&str| known.contains(&&*format!("{PREFIX}{}", name.to_ascii_uppercase()));
    let names: Vec<&str> = options().map(|option| option.name).collect();
    for (name, value) in reader.environment.with_prefix(PREFIX) {
        let variable = name.strip_suffix("_FILE").unwrap_or(&name);
        let is_known = known.contains(&variable) || known.contains(&&*name);
        let is_of_kubernetes = KUBERNETES.iter().any(|it| name.starts_with(it))
            || value.contains("://") && variable == "MAIN_NODE_PORT";
        let is_used = text.contains(&format!("${{{variable}}}"));
        if is_known || is_of_kubernetes || is_used {
            continue;
        }
        let option = variable[PREFIX.len()..].to_ascii_lowercase();
        let advice = if names.contains(&&*option) {
            Some("that option has no variable: write it in the file".to_owned())
        } else {
            let near = nearest(&option, names.iter().copied().filter(has_variable));
            let near =
                near.map(|near| format!("did you mean {PREFIX}{}?", near.to_ascii_uppercase()));
            let advice = other_names::advice(&option, &names).map(str::to_owned);
            advice.or(near)
        };
        let advice = advice.map(|it| format!("; {it}")).unwrap_or_default();
        let location = format!("the variable {name}");
        let message = format!("no option has this variable, so it does nothing{advice}");
        reader.remark_at(Severity::Note, &location, message);
    }
}
