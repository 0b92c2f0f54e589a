//! A profile as one page that opens anywhere: nothing is fetched, everything is inside.

use super::Profile;

const PAGE: &str = include_str!("report/report.html");
const STYLE: &str = include_str!("report/report.css");
const SCRIPT: &str = include_str!("report/report.js");

impl Profile {
    /// The page: timeline, roofline, groups, every launch, and how it was measured.
    ///
    /// # Errors
    /// When the profile cannot be written as JSON.
    pub fn to_html(&self) -> Result<String, serde_json::Error> {
        // Text of the profile can then end no element: in JSON `<` stands in strings alone.
        let data = serde_json::to_string(self)?.replace('<', "\\u003c");
        // The data comes last, so that nothing in it is taken for a place to fill.
        let page = PAGE.replacen("/*STYLE*/", STYLE, 1).replacen("/*SCRIPT*/", SCRIPT, 1);
        Ok(page.replacen("/*PROFILE*/", &data, 1))
    }
}
