//! Changes a document into another document.

use serde_json::{Map, Value, json};

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit.max(1)
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Names of properties and words that mean something, one a line.
const WORDS: &str = include_str!("../words");

/// One to four changes; `None` when it is no document.
pub fn mutate(bytes: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(bytes).ok()?;
    let mut random = Random(u64::from(seed) << 20 | 0x9e37_79b9);
    for _ in 0..=random.below(4) {
        let donor = document.clone();
        let donor = choose(&donor, &mut random).clone();
        let at = choose_mut(&mut document, &mut random);
        change(at, donor, &mut random);
    }
    serde_json::to_vec(&document).ok()
}

fn change(at: &mut Value, donor: Value, random: &mut Random) {
    match (random.below(8), &mut *at) {
        (0, Value::Object(object)) if !object.is_empty() => {
            let names: Vec<String> = object.keys().cloned().collect();
            object.remove(random.pick(&names).as_str());
        }
        (1 | 2, Value::Object(object)) => {
            let name = word(random);
            let value = if random.below(2) == 0 {
                donor
            } else {
                simple(random)
            };
            object.insert(name, value);
        }
        (0, Value::Array(list)) if !list.is_empty() => {
            list.remove(random.below(list.len()));
        }
        (1 | 2, Value::Array(list)) => {
            let mut value = simple(random);
            if random.below(2) == 0 && !list.is_empty() {
                value = random.pick(list).clone();
            }
            list.insert(random.below(list.len() + 1), value);
        }
        (1..4, Value::String(text)) => edit(text, random),
        (4, _) => *at = donor,
        _ => *at = simple(random),
    }
}

fn edit(text: &mut String, random: &mut Random) {
    let mut letters: Vec<char> = text.chars().collect();
    let place = random.below(letters.len() + 1);
    let with = *random.pick(&[
        '/', '.', '\0', ':', ',', '=', '-', '0', '9', 'a', 'é', '\n', ' ', '@',
    ]);
    match random.below(3) {
        0 => letters.insert(place, with),
        1 if place < letters.len() => letters[place] = with,
        _ => letters.truncate(place),
    }
    *text = letters.into_iter().collect();
}

fn word(random: &mut Random) -> String {
    let words: Vec<&str> = WORDS.lines().collect();
    (*random.pick(&words)).to_owned()
}

fn simple(random: &mut Random) -> Value {
    match random.below(8) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(
            [
                0,
                1,
                -1,
                2,
                1000,
                65535,
                4294967295_i64,
                4294967296_i64,
                i64::MIN,
                i64::MAX
            ][random.below(10)]
        ),
        3 => json!([0.5, -1e300, 1e19][random.below(3)]),
        4 => json!([]),
        5 => Value::Object(Map::new()),
        _ => Value::from(word(random)),
    }
}

fn children(value: &Value) -> usize {
    match value {
        Value::Object(object) => object.len(),
        Value::Array(list) => list.len(),
        _ => 0,
    }
}

/// A node, deep ones as likely as others.
fn choose<'a>(value: &'a Value, random: &mut Random) -> &'a Value {
    let count = children(value);
    if count == 0 || random.below(4) == 0 {
        return value;
    }
    let which = random.below(count);
    let below = match value {
        Value::Object(object) => object.values().nth(which),
        Value::Array(list) => list.get(which),
        _ => None,
    };
    below.map_or(value, |below| choose(below, random))
}

fn choose_mut<'a>(value: &'a mut Value, random: &mut Random) -> &'a mut Value {
    let count = children(value);
    if count == 0 || random.below(5) == 0 {
        return value;
    }
    let which = random.below(count);
    match value {
        Value::Object(object) => {
            let below = object.values_mut().nth(which).expect("counted");
            choose_mut(below, random)
        }
        Value::Array(list) => choose_mut(&mut list[which], random),
        other => other,
    }
}
