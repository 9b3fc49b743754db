//! For fish.

use super::{Choice, Rest, Value, Verb, Word};

/// Reads what is written so far: the command and the words behind it, without options
/// and their values. Nothing behind `--`, `exec ID` and `spec --args` is ours.
const MACHINE: &str = r#"
function __corten_words
    set -l words (commandline -opc)
    set -l found
    set -l skip no
    for word in $words[2..]
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case -- --args
                echo foreign
                return
            case '--*=*'
            case '-*'
                __corten_takes_value "$found[1] $word"; and set skip yes
            case '*'
                set -a found $word
        end
    end
    string join \n -- $found
end

function __corten_no_command
    test (count (__corten_words)) = 0
end

# COMMAND...: it is one of these
function __corten_in
    set -l found (__corten_words)
    contains -- "$found[1]" $argv
end

# NUMBER COMMAND...: as many words stand behind one of these
function __corten_behind
    set -l found (__corten_words)
    contains -- "$found[1]" $argv[2..]; and test (count $found) = (math $argv[1] + 1)
end

function __corten_ids
    set -l root
    set -l words (commandline -opc)
    for i in (seq 2 (count $words))
        switch $words[$i]
            case --root -r
                set root --root $words[(math $i + 1)]
            case '--root=*'
                set root $words[$i]
        end
    end
    corten $root list -q 2>/dev/null
end

complete -c corten -f
"#;

pub(super) fn script(top: &Verb, verbs: &[Verb]) -> String {
    let mut text =
        "# fish completion for corten, written by `corten completion fish`\n\n".to_owned();
    text += "function __corten_takes_value\n    switch $argv[1]\n";
    for verb in std::iter::once(top).chain(verbs) {
        text += &with_values(verb);
    }
    text += "        case '*'\n            return 1\n    end\nend\n";
    text += MACHINE;
    for choice in &top.choices {
        text += &option("__corten_no_command", choice);
    }
    for verb in verbs {
        text += &of_command(verb);
    }
    text
}

/// Options that take a value: `case ' --root' ' -r'`.
fn with_values(verb: &Verb) -> String {
    let names = match verb.names.as_slice() {
        [] => vec![String::new()],
        names => names.to_vec(),
    };
    let choices = verb.choices.iter().filter(|choice| choice.value.is_some());
    let words = choices.flat_map(|choice| {
        let short = choice.short.map(|short| format!("-{short}"));
        std::iter::once(format!("--{}", choice.long)).chain(short)
    });
    let words: Vec<String> = words.collect();
    let all = names.iter().flat_map(|name| {
        words
            .iter()
            .map(move |word| quoted(&format!("{name} {word}")))
    });
    let all: Vec<String> = all.collect();
    if all.is_empty() {
        return String::new();
    }
    format!("        case {}\n            return 0\n", all.join(" "))
}

fn of_command(verb: &Verb) -> String {
    let mut text = String::new();
    for name in &verb.names {
        let about = quoted(&verb.about);
        text += &format!("complete -c corten -n __corten_no_command -a {name} -d {about}\n");
    }
    let names = verb.names.join(" ");
    // Behind the first word of `exec` options are not ours.
    let options = match verb.rest {
        Rest::Foreign => format!("__corten_behind 0 {names}"),
        _ => format!("__corten_in {names}"),
    };
    for choice in &verb.choices {
        text += &option(&options, choice);
    }
    let count = verb.words.len();
    for (number, value) in verb.words.iter().enumerate() {
        let condition = match verb.rest {
            Rest::Again if number + 1 == count => format!("__corten_in {names}"),
            _ => format!("__corten_behind {number} {names}"),
        };
        if let Some(words) = offer(value) {
            text += &format!("complete -c corten -n {} {words}\n", quoted(&condition));
        }
    }
    text
}

fn option(condition: &str, choice: &Choice) -> String {
    let mut line = format!(
        "complete -c corten -n {} -l {}",
        quoted(condition),
        choice.long
    );
    if let Some(short) = choice.short {
        line += &format!(" -s {}", quoted(&short.to_string()));
    }
    line += &match &choice.value {
        None | Some(Value::Foreign) => String::new(),
        Some(value @ (Value::Directory | Value::File)) => {
            format!(" -r {}", offer(value).unwrap_or_default())
        }
        Some(value) => format!(" -x {}", offer(value).unwrap_or_default()),
    };
    format!("{} -d {}\n", line.trim_end(), quoted(&choice.help))
}

fn offer(value: &Value) -> Option<String> {
    Some(match value {
        Value::Id => "-a '(__corten_ids)'".to_owned(),
        Value::Directory => "-a '(__fish_complete_directories (commandline -ct))'".to_owned(),
        Value::File => "-F".to_owned(),
        Value::OneOf(words) => {
            let words: Vec<String> = words.iter().map(told).collect();
            format!("-a {}", quoted(&words.join(" ")))
        }
        Value::Anything | Value::Foreign => return None,
    })
}

/// `host\t'That of the caller'`
fn told(word: &Word) -> String {
    if word.help.is_empty() {
        return word.name.clone();
    }
    format!("{}\\t{}", word.name, quoted(&word.help))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
