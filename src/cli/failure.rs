//! What is said when something goes wrong: one line on standard error.

use std::error::Error;
use std::io::{self, Write};

use super::show::printable;

/// Prints an error with its causes, and gives them.
pub fn report(error: &dyn Error) -> String {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    let description = describe(error);
    say(&format!("{style}error:{style:#} {description}"));
    description
}

/// Prints what is no error but should be known.
pub fn note(text: &str) {
    let style = anstyle::AnsiColor::Yellow.on_default().bold();
    say(&format!("{style}note:{style:#} {}", printable(text)));
}

/// Prints a line to standard error. If even that fails there is nobody left to tell.
pub fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// An error and its causes in one line, in which names keep their spaces. Many errors quote their cause; what has been said is not
/// repeated.
pub fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    let lines = text.split(['\n', '\r', '\t']).map(|line| line.trim_matches(' ')).filter(|line| !line.is_empty());
    printable(&lines.collect::<Vec<_>>().join(" "))
}

/// Whether standard output was closed by its reader.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn Error + 'static)| cause.downcast_ref::<io::Error>().map(io::Error::kind);
    error.chain().any(|cause| kind(cause) == Some(io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once_and_in_one_line() {
        let quoted = anyhow::anyhow!("no\n\tsuch \r\n file").context("my  cat.jpg: no\n\tsuch \r\n file");
        assert_eq!(describe(quoted.as_ref()), "my  cat.jpg: no such file");
        assert_eq!(describe(anyhow::anyhow!("at 3\u{202f}PM.png: broken").as_ref()), "at 3\u{202f}PM.png: broken");
        let plain = anyhow::anyhow!("no such file").context("cat.jpg");
        assert_eq!(describe(plain.as_ref()), "cat.jpg: no such file");
        assert_eq!(describe(anyhow::anyhow!("\x1b[2J").as_ref()), "\\u{1b}[2J");
    }

    #[test]
    fn a_closed_pipe_is_seen_below_its_context() {
        let closed = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert!(is_closed_pipe(&closed));
        assert!(!is_closed_pipe(&anyhow::anyhow!("broken pipe")));
    }
}
