//! Names and nouns.

use super::*;

#[test]
fn names_are_cut_and_spelled_out() {
    let words = |name| of_name(name).join(" ");
    assert_eq!(words("custAddr_ID"), "customer address ID");
    assert_eq!(words("HTTPStatus"), "HTTP status");
    assert_eq!(words("QTY_PICKED"), "quantity picked");
    assert_eq!(words("größe"), "größe");
}

#[test]
fn nouns_change_their_number() {
    for (one, many) in [
        ("order", "orders"),
        ("delivery", "deliveries"),
        ("day", "days"),
        ("address", "addresses"),
        ("status", "statuses"),
        ("child", "children"),
        ("aircraft", "aircraft"),
        ("cost of goods sold", "costs of goods sold"),
        ("box", "boxes"),
        ("order ID", "order IDs"),
    ] {
        assert_eq!(plural(one), many);
        if one != "order ID" {
            assert_eq!(singular(many), one);
        }
    }
}

#[test]
fn words_of_other_scripts_stay_as_they_are() {
    assert_eq!((plural("заказ"), plural("订单")), ("заказ".into(), "订单".into()));
    assert_eq!(plural("libellé"), "libellés");
}

#[test]
fn people_are_told_from_things() {
    assert!(is_person("customer") && is_person("employee") && is_person("students"));
    assert!(!is_person("order") && !is_person("sensor") && !is_person("trip"));
}
