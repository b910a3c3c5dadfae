//! The `cargo codegen` program; all of it is in `command`.

fn main() {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = openapi::command::run(&arguments);
    print(&mut std::io::stdout(), &outcome.stdout);
    print(&mut std::io::stderr(), &outcome.stderr);
    std::process::exit(outcome.code);
}

/// A reader that has gone (`| head`) is no failure.
fn print(to: &mut dyn std::io::Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
    let _ = to.flush();
}
