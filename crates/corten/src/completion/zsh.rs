//! For zsh, in the terms of its `_arguments`.

use super::{Choice, Rest, Value, Verb, names};

pub(super) fn script(top: &Verb, verbs: &[Verb]) -> String {
    let mut text = "#compdef corten\n# zsh completion for corten, written by `corten completion zsh`\n\n\
        _corten_ids() {\n    local -a ids\n    local root=${opt_args[--root]:-${opt_args[-r]:-$_corten_root}}\n    \
        ids=(${(f)\"$(corten ${root:+--root=${(Q)root}} list -q 2>/dev/null)\"})\n    compadd -a ids\n}\n\n\
        _corten() {\n    local context state state_descr line _corten_root\n    typeset -A opt_args\n    \
        local -a commands\n    commands=(\n"
        .to_owned();
    for verb in verbs {
        for name in &verb.names {
            text += &format!("        {}\n", quoted(&format!("{name}:{}", verb.about)));
        }
    }
    text += "    )\n    _arguments -C \\\n";
    for choice in &top.choices {
        text += &format!("        {} \\\n", option(choice));
    }
    text += "        '1:command:->command' '*::argument:->argument' && return\n    \
        _corten_root=${opt_args[--root]:-$opt_args[-r]}\n    case $state in\n        \
        command) _describe -t commands command commands ;;\n        argument)\n            \
        case $words[1] in\n";
    for verb in verbs {
        // Behind the first word of `exec` options are not ours.
        let until = if verb.rest == Rest::Foreign {
            " -A '-*'"
        } else {
            ""
        };
        text += &format!(
            "                {})\n                    _arguments{until} \\\n",
            verb.names.join(" | ")
        );
        for choice in &verb.choices {
            text += &format!("                        {} \\\n", option(choice));
        }
        text += &format!("                        {} ;;\n", words(verb));
    }
    text + "            esac ;;\n    esac\n}\n\n\
        if [ \"$funcstack[1]\" = _corten ]; then _corten \"$@\"; else compdef _corten corten; fi\n"
}

/// `'1:word:_corten_ids' '2:word:_files'`
fn words(verb: &Verb) -> String {
    let count = verb.words.len();
    let each = verb.words.iter().enumerate().map(|(number, value)| {
        let place = match verb.rest {
            Rest::Again if number + 1 == count => "*".to_owned(),
            _ => (number + 1).to_string(),
        };
        quoted(&format!("{place}:word:{}", action(value)))
    });
    let nothing_more = (verb.rest != Rest::Again).then(|| quoted("*:word: "));
    let all: Vec<String> = each.chain(nothing_more).collect();
    all.join(" ")
}

/// `'--root=[help]:value:_files -/'`
fn option(choice: &Choice) -> String {
    let help = choice
        .help
        .replace('[', "(")
        .replace(']', ")")
        .replace(':', "\\:");
    let value = choice.value.as_ref().map(|value| {
        let many = if *value == Value::Foreign { "*:" } else { "" };
        format!(":{many}value:{}", action(value))
    });
    let value = value.unwrap_or_default();
    let equals = match &choice.value {
        None | Some(Value::Foreign) => "",
        Some(_) => "=",
    };
    let long = quoted(&format!("*--{}{equals}[{help}]{value}", choice.long));
    match choice.short {
        Some(short) => {
            let plus = if value.is_empty() { "" } else { "+" };
            format!(
                "{long} {}",
                quoted(&format!("*-{short}{plus}[{help}]{value}"))
            )
        }
        None => long,
    }
}

fn action(value: &Value) -> String {
    match value {
        Value::Id => "_corten_ids".to_owned(),
        Value::Directory => "_files -/".to_owned(),
        Value::File => "_files".to_owned(),
        Value::OneOf(words) => format!("({})", names(words)),
        Value::Anything | Value::Foreign => " ".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
