//! Settings as the binary takes them.

use super::{Place, fixture};

#[test]
fn a_configuration_file_that_was_named_and_is_missing_stops_the_command() {
    let place = Place::new();
    place.write("q.sql", "SELECT 1;\n");
    let run = place
        .run(&["check", "q.sql", "--config", "missing.toml"])
        .expect(2);
    assert!(
        run.stderr
            .contains("missing.toml: there is no such configuration file"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_cannot_be_used_is_named_and_the_rest_counts() {
    let place = Place::new();
    std::fs::copy(fixture("catalogs/shop.json"), place.path("shop.json")).expect("copy");
    place.write("bigquill.toml", "catalog = 'shop.json'\nmax_tokens = 'many'\n");
    place.write("q.sql", "SELECT nmae FROM shop.customers;\n");
    let run = place.run(&["check", "q.sql"]).expect(1);
    assert!(
        run.stderr
            .contains("bigquill.toml:2: `max_tokens` cannot be used"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("unknown-column"), "{}", run.stdout);
}

#[test]
fn the_environment_goes_over_the_file_and_a_flag_over_both() {
    let mut place = Place::new();
    std::fs::copy(fixture("catalogs/shop.json"), place.path("shop.json")).expect("copy");
    place.write("bigquill.toml", "catalog = 'missing-one.json'\n");
    place.write("q.sql", "SELECT nmae FROM shop.customers;\n");
    let run = place.run(&["check", "q.sql"]).expect(0);
    assert!(run.stderr.contains("missing-one.json"), "{}", run.stderr);
    place.set("BIGQUILL_CATALOG", "shop.json");
    place.run(&["check", "q.sql"]).expect(1);
    place.set("BIGQUILL_CATALOG", "missing-two.json");
    place.run(&["check", "q.sql", "--catalog", "shop.json"]).expect(1);
}

#[test]
fn help_has_examples_and_nonsense_ends_with_2() {
    let place = Place::new();
    for command in ["ask", "check", "complete"] {
        let run = place.run(&[command, "--help"]).expect(0);
        assert!(run.stdout.contains("Examples:"), "{}", run.stdout);
    }
    place.run(&["check"]).expect(2);
    place.run(&["frobnicate"]).expect(2);
    place.run(&["ask", "--jsonl", "-", "--device", "tpu"]).expect(2);
}
