//! Numbers off texts: learned, held against what is simpler, kept as PEFT keeps them, and read again.

use safetensors::SafeTensors;
use serde_json::Value;

use super::run::Place;

/// Rows whose price follows from the city alone.
fn rows(count: usize) -> String {
    let mut text = "rooms,city,price\n".to_owned();
    for n in 0..count {
        let (city, price) = [("Ulm", 100.0), ("Rom", 250.0), ("Oslo", 400.0)][n % 3];
        text += &format!("{},{city},{}\n", n % 7, price + (n % 5) as f64);
    }
    text
}

fn place() -> Place {
    let place = Place::new();
    place.write("flats.csv", &rows(45));
    place
}

const LEARN: &str = "regress --model tiny.gguf --data flats.csv --target price --template {city},{rooms} \
    --epochs 12 --batch 9 --rank 4 --learning-rate 5e-3 --out price";

#[test]
fn a_number_is_learned_kept_and_read_again() {
    let place = place();
    let said = place.run(LEARN);
    let explained = |name: &str| -> f64 {
        let line = said
            .lines()
            .find(|line| line.ends_with(name))
            .unwrap_or_else(|| panic!("{said}"));
        line.split_whitespace().nth(2).unwrap().parse().unwrap()
    };
    assert!(said.contains("9 held-out rows"), "{said}");
    assert!(
        explained("mean") < 0.1 && explained("linear in rooms, city") > 0.95,
        "{said}"
    );
    assert!(explained("adapter") > 0.8, "{said}");
    assert!(
        said.contains("absolute error of the linear model less the adapter's: "),
        "{said}"
    );

    let config: Value =
        serde_json::from_slice(&std::fs::read(place.path("price/adapter_config.json")).unwrap()).unwrap();
    assert_eq!(config["task_type"], "SEQ_CLS");
    assert_eq!(config["modules_to_save"][0], "score");
    let weights = std::fs::read(place.path("price/adapter_model.safetensors")).unwrap();
    let score = SafeTensors::deserialize(&weights).unwrap();
    assert_eq!(
        score.tensor("base_model.model.score.weight").unwrap().shape(),
        [1, 256]
    );

    let predicted = place.run("regress --model tiny.gguf --data flats.csv --out price --predict");
    let first: Value = serde_json::from_str(predicted.lines().next().unwrap()).unwrap();
    assert_eq!(
        (first["row"].as_str(), predicted.lines().count()),
        (Some("flats.csv:2"), 45)
    );
    let price = first["prediction"].as_f64().unwrap();
    assert!((price - 100.0).abs() < 80.0, "{price}");

    let error = place.fail("eval --model tiny.gguf --adapter price --data data.jsonl");
    assert!(
        error.contains("`finetune regress --predict` applies it"),
        "{error}"
    );
    let card = std::fs::read_to_string(place.path("price/README.md")).unwrap();
    assert!(
        card.contains("| text | {city},{rooms} |") && card.contains("| linear in rooms, city: MAE"),
        "{card}"
    );
}

#[test]
fn what_cannot_be_learned_is_told() {
    let place = place();
    let words = "regress --model tiny.gguf --data flats.csv --out price";
    let error = place.fail(words);
    assert!(
        error.contains("there is no column text or prompt") && error.contains("--template"),
        "{error}"
    );
    let error = place.fail(&format!("{words} --template {{city}}"));
    assert!(
        error.contains("there is no column target; name it with --target"),
        "{error}"
    );
    let error = place.fail(&format!("{words} --target price --template {{price}}"));
    assert!(error.contains("which is what is to be learned"), "{error}");
    place.write("flats.csv", "text,target\na,1\nb,1\nc,1\nd,1\ne,1\nf,1\n");
    assert!(place.fail(words).contains("there is nothing to learn"));
    place.write("flats.csv", "text,target\na,1\nb,dear\n");
    assert!(
        place
            .fail(words)
            .contains("flats.csv:3: target is \"dear\" and no number")
    );
    assert!(!place.path("price").exists());
    let error = place.fail(&format!("{words} --predict"));
    assert!(error.contains("adapter_config.json cannot be read"), "{error}");
}
