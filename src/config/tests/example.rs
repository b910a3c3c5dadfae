//! Tests of the installed configuration and of the README's examples.

use crate::config::support::problems_of_example;

/// An example with its commented-out options enabled.
fn with_all_options(example: &str) -> String {
    let is_option = |line: &str| {
        line.strip_prefix('#').is_some_and(|rest| {
            rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[')
        })
    };
    let lines = example
        .lines()
        .map(|line| if is_option(line) { &line[1..] } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn installed_file_and_readme_examples_are_valid() {
    let installed = include_str!("../../../systemd/main-node.toml");
    let readme = include_str!("../../../README.md");
    let mut examples = vec![installed.to_owned(), with_all_options(installed)];
    let blocks = readme.split("```toml\n").skip(1);
    for block in blocks.filter_map(|block| block.split("```").next()) {
        // A block that is only a part of a file.
        let source = "[[source]]\nname = \"a\"\nurl = \"http://a.local/\"\n";
        let block = match block {
            part if part.starts_with("[source.") => format!("{source}{part}"),
            whole if whole.contains("[[source]]") => whole.to_owned(),
            part => format!("{part}{source}"),
        };
        examples.push(with_all_options(&block));
        examples.push(block);
    }
    assert!(examples.len() >= 10, "README has examples");
    for example in examples {
        let problems = problems_of_example(&example);
        assert!(problems.is_empty(), "{}\n{example}", problems.join("\n"));
    }
}

#[test]
fn the_readme_links_every_recipe() {
    let page = include_str!("../../../docs/configuration.md");
    let readme = include_str!("../../../README.md");
    let (_, recipes) = page.split_once("\n## Recipes\n").expect("a section");
    let (recipes, _) = recipes.split_once("\n<!-- options").expect("its end");
    let mut headings = recipes.lines().filter_map(|line| line.strip_prefix("### "));
    assert!(headings.clone().count() >= 10);
    // The anchor that code hosts make of a heading.
    let anchor = |heading: &str| {
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let missing =
        headings.find(|it| !readme.contains(&format!("configuration.md#{})", anchor(it))));
    assert_eq!(missing, None);
}

#[test]
fn the_house_of_the_demo_is_a_valid_configuration() {
    let problems = problems_of_example(crate::config::example::DEMO_HOUSE);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_demo_asks_only_its_own_server_and_at_short_intervals() {
    let base = |name: &str| format!("http://127.0.0.1:9/{name}");
    let apis = &crate::api::client::APIS;
    let overrides = crate::config::Overrides::default();
    let config = crate::config::demo(&base, "demo.db".into(), &overrides, apis);
    let config = config.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(config.sources.len() >= 9);
    for source in &config.sources {
        assert_eq!(
            source.host().as_deref(),
            Some("127.0.0.1"),
            "{}",
            source.plan.name
        );
        assert!(source.plan.every.as_secs() <= 5, "{}", source.plan.name);
    }
    let remarks: Vec<String> = config
        .remarks
        .iter()
        .map(|it| it.problem.to_string())
        .collect();
    assert!(remarks.is_empty(), "{remarks:?}");
    let mut urls = config.sources.iter().filter_map(|it| match &it.target {
        crate::config::SourceTarget::Url { url, .. } => Some(url.as_str()),
        _ => None,
    });
    let expected = "http://127.0.0.1:9/inverter.home.arpa/status";
    assert_eq!(urls.find(|url| url.contains("inverter")), Some(expected));
}
