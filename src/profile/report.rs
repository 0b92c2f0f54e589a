//! A profile as one page that opens anywhere: nothing is fetched, everything is inside.

use super::Profile;

const PAGE: &str = include_str!("report/report.html");
const STYLES: [&str; 2] = [include_str!("report/report.css"), include_str!("report/launches.css")];
/// Modules, each after those that it imports. The browser demo draws with most of them too.
const SCRIPTS: [&str; 8] = [
    include_str!("report/words.js"),
    include_str!("report/launches.js"),
    include_str!("report/look.js"),
    include_str!("report/roofline.js"),
    include_str!("report/bars.js"),
    include_str!("report/table.js"),
    include_str!("report/timeline.js"),
    include_str!("report/report.js"),
];

impl Profile {
    /// The page: timeline, roofline, groups, every launch, and how it was measured.
    ///
    /// # Errors
    /// When the profile cannot be written as JSON.
    pub fn to_html(&self) -> Result<String, serde_json::Error> {
        // Text of the profile can then end no element: in JSON `<` stands in strings alone.
        let data = serde_json::to_string(self)?.replace('<', "\\u003c");
        // The data comes last, so that nothing in it is taken for a place to fill.
        let page = PAGE.replacen("/*STYLE*/", &STYLES.concat(), 1).replacen("/*SCRIPT*/", &one_module(&SCRIPTS), 1);
        Ok(page.replacen("/*PROFILE*/", &data, 1))
    }
}

/// Modules as one: what they import from each other is then simply there.
fn one_module(modules: &[&str]) -> String {
    let lines = modules.iter().flat_map(|module| module.lines()).filter(|line| !line.starts_with("import "));
    lines.flat_map(|line| [line.strip_prefix("export ").unwrap_or(line), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_become_one_that_imports_nothing() {
        let modules = [
            "export const a = 1;\nconst own = 2;\n",
            "import { a } from './a.js';\nexport class B {\n  // import kept\n}\n",
        ];
        assert_eq!(one_module(&modules), "const a = 1;\nconst own = 2;\nclass B {\n  // import kept\n}\n");
        let page = one_module(&SCRIPTS);
        assert!(!page.lines().any(|line| line.starts_with("import") || line.starts_with("export")), "{page}");
    }

    #[test]
    fn each_module_comes_after_those_that_it_imports() {
        let names = ["words", "launches", "look", "roofline", "bars", "table", "timeline", "report"];
        for (place, module) in SCRIPTS.iter().enumerate() {
            for line in module.lines().filter(|line| line.starts_with("import ")) {
                assert!(names[..place].iter().any(|name| line.ends_with(&format!("from './{name}.js';"))), "{line}");
            }
        }
    }
}
