//! What an agent file says of its answers, and how long it may be.

use serde_json::json;

use crate::testing::{agent, team, told_of_agent};

#[test]
fn an_answer_is_the_base_and_the_role() {
    let text = "---\ndescription: d\noutput:\n  properties: {verdict: {enum: [a, b]}}\n  required: \
        [verdict, summary]\n  $defs: {x: {type: string}}\n---\nx";
    let team = team(&[("agents/lead.md", text)]);
    let output = &agent(&team, "lead").output;
    assert_eq!(output["required"], json!(["summary", "confidence", "verdict"]));
    let check = jsonschema::validator_for(output).unwrap();
    assert!(check.is_valid(&json!({"summary": "s", "confidence": 0.5, "verdict": "a"})));
    assert!(!check.is_valid(&json!({"summary": "s", "confidence": 0.5})));
    assert!(!check.is_valid(&json!({"summary": "", "confidence": 0.5, "verdict": "a"})));
    assert!(!check.is_valid(&json!({"summary": "s", "confidence": 1.5, "verdict": "a"})));
    let finding = json!([{"key": "Bad Key", "text": "t", "confidence": 1}]);
    assert!(
        !check.is_valid(
            &json!({"summary": "s", "confidence": 1, "verdict": "a", "findings": finding})
        )
    );
}

#[test]
fn schemas_that_are_too_large_or_too_deep_are_refused() {
    let deep = format!("{}1{}", "{a: ".repeat(70), "}".repeat(70));
    let told = told_of_agent(&format!("---\ndescription: d\noutput: {deep}\n---\nx"));
    assert!(told.contains("agents/odd.md:3: `output` is nested deeper than 64 levels"), "{told}");
    let large = format!("{{description: \"{}\"}}", "x".repeat(300 << 10));
    let told = told_of_agent(&format!("---\ndescription: d\noutput: {large}\n---\nx"));
    assert!(told.contains("`output` has 307"), "{told}");
}

#[test]
fn long_descriptions_are_cut_at_a_sentence() {
    let long = format!("Does one thing well. {}", "word ".repeat(100));
    let team = team(&[("agents/lead.md", format!("---\ndescription: {long}\n---\nx"))]);
    assert_eq!(agent(&team, "lead").description, "Does one thing well.");
    let long = "é".repeat(400);
    let team =
        crate::testing::team(&[("agents/lead.md", format!("---\ndescription: {long}\n---\nx"))]);
    assert_eq!(agent(&team, "lead").description.chars().count(), 300);
}

#[test]
fn output_schema_is_another_name_of_output() {
    let of = |key: &str| {
        let text = format!(
            "---\ndescription: d\n{key}: {{type: object, properties: {{verdict: {{type: string}}}}}}\n---\nx"
        );
        let team = team(&[("team.yaml", "entry: lead"), ("agents/lead.md", &text)]);
        assert_eq!(team.problems.iter().filter(|it| it.to_string().contains(key)).count(), 0);
        agent(&team, "lead").output.clone()
    };
    assert_eq!(of("output_schema"), of("output"));
    assert!(serde_json::to_string(&of("output_schema")).unwrap().contains("verdict"));
}
