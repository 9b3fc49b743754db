//! For zsh, in the terms of its `_arguments`.

use super::{Choice, Value, Verb};

pub(super) fn script(top: &Verb, verbs: &[Verb]) -> String {
    let mut text = "#compdef corten\n# zsh completion for corten, written by `corten completion zsh`\n\n\
        _corten_ids() {\n    local -a ids root\n    root=(${opt_args[--root]:-${opt_args[-r]:-$_corten_root}})\n    \
        ids=(${(f)\"$(corten ${root:+--root $root} list -q 2>/dev/null)\"})\n    compadd -a ids\n}\n\n\
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
        text += &format!(
            "                {})\n                    _arguments \\\n",
            verb.names.join(" | ")
        );
        for choice in &verb.choices {
            text += &format!("                        {} \\\n", option(choice));
        }
        let many = if verb.names.iter().any(|name| name == "stats") {
            "*"
        } else {
            "1"
        };
        text += &match action(&verb.words) {
            Some(action) => format!(
                "                        {} ;;\n",
                quoted(&format!("{many}:word:{action}"))
            ),
            None => "                        '*:word:_files' ;;\n".to_owned(),
        };
    }
    text + "            esac ;;\n    esac\n}\n\n\
        if [ \"$funcstack[1]\" = _corten ]; then _corten \"$@\"; else compdef _corten corten; fi\n"
}

/// `'--root=[help]:value:_files -/'`
fn option(choice: &Choice) -> String {
    let help = choice
        .help
        .replace('[', "(")
        .replace(']', ")")
        .replace(':', "\\:");
    let value = choice.value.as_ref().map(|value| {
        let action = action(value).unwrap_or_else(|| " ".to_owned());
        format!(":value:{action}")
    });
    let value = value.unwrap_or_default();
    let equals = if value.is_empty() { "" } else { "=" };
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

fn action(value: &Value) -> Option<String> {
    match value {
        Value::Id => Some("_corten_ids".to_owned()),
        Value::Directory => Some("_files -/".to_owned()),
        Value::File => Some("_files".to_owned()),
        Value::OneOf(words) => Some(format!("({})", words.join(" "))),
        Value::Anything => None,
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
