//! For fish.

use super::{Choice, Value, Verb};

pub(super) fn script(top: &Verb, verbs: &[Verb]) -> String {
    let mut text = "# fish completion for corten, written by `corten completion fish`\n\n\
        function __corten_ids\n    set -l root\n    set -l words (commandline -opc)\n    \
        for i in (seq 2 (count $words))\n        switch $words[$i]\n            \
        case --root -r\n                set root --root $words[(math $i + 1)]\n            \
        case '--root=*'\n                set root $words[$i]\n        end\n    end\n    \
        corten $root list -q 2>/dev/null\nend\n\ncomplete -c corten -f\n"
        .to_owned();
    for choice in &top.choices {
        text += &option("__fish_use_subcommand", choice);
    }
    for verb in verbs {
        for name in &verb.names {
            let about = quoted(&verb.about);
            text += &format!("complete -c corten -n __fish_use_subcommand -a {name} -d {about}\n");
        }
        let seen = format!("__fish_seen_subcommand_from {}", verb.names.join(" "));
        for choice in &verb.choices {
            text += &option(&seen, choice);
        }
        let words = match &verb.words {
            Value::Id => "-a '(__corten_ids)'".to_owned(),
            Value::OneOf(words) => format!("-a {}", quoted(&words.join(" "))),
            Value::Directory | Value::File => "-F".to_owned(),
            Value::Anything => continue,
        };
        text += &format!("complete -c corten -n {} {words}\n", quoted(&seen));
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
        line += &format!(
            " -s {}",
            if short == '?' {
                "'?'".to_owned()
            } else {
                short.to_string()
            }
        );
    }
    line += &match &choice.value {
        None => String::new(),
        Some(Value::Directory | Value::File) => " -r -F".to_owned(),
        Some(Value::OneOf(words)) => format!(" -x -a {}", quoted(&words.join(" "))),
        Some(Value::Id) => " -x -a '(__corten_ids)'".to_owned(),
        Some(Value::Anything) => " -x".to_owned(),
    };
    format!("{line} -d {}\n", quoted(&choice.help))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
