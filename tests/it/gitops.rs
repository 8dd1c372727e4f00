//! What `docs/tasks/gitops.md` has Flux say of the states in `tests/gitops/states`. Argo CD and
//! kstatus are asked there.

use std::{fs, path::Path};

use cel::{Context, Program, Value as Cel};
use serde_json::Value;

/// The expressions of the page, for current and for failed.
fn expressions() -> (Program, Program) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/tasks/gitops.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.filter(|b| b.contains("healthCheckExprs")).last().unwrap();
    let block: Value = serde_saphyr::from_str(block).unwrap();
    let of = |field: &str| {
        let text = block["spec"]["healthCheckExprs"][0][field].as_str().unwrap();
        Program::compile(text).unwrap()
    };
    (of("current"), of("failed"))
}

fn is_so(program: &Program, object: &Value) -> bool {
    let mut context = Context::default();
    for field in ["metadata", "spec", "status"] {
        context.add_variable(field, &object[field]).unwrap();
    }
    match program.execute(&context).unwrap() {
        Cel::Bool(is_so) => is_so,
        other => panic!("{other:?}"),
    }
}

#[test]
fn flux_takes_what_is_suspended_or_observed_as_it_should_be_where_it_is_told_so() {
    let (current, failed) = expressions();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (state, is_current, is_failed) in [
        ("just-created", false, false),
        ("changed", false, false),
        ("waiting-for-a-reference", false, false),
        ("failing", false, false),
        ("ready", true, false),
        ("suspended", true, false),
        ("observing-a-difference", true, false),
        ("observing-no-difference", true, false),
        ("conflict", false, true),
        ("instance-refused", false, true),
    ] {
        let path = root.join(format!("tests/gitops/states/{state}.json"));
        let object: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let said = (is_so(&current, &object), is_so(&failed, &object));
        assert_eq!(said, (is_current, is_failed), "{state}: current, failed");
    }
}
