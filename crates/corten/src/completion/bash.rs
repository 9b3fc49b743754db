//! For GNU bash, without the package bash-completion.

use super::{Rest, Value, Verb, names};

/// Reads what is written so far: the command, `--root`, how many words stand behind the
/// command, and whether the word at the cursor is the value of an option.
const MACHINE: &str = r#"
_corten() {
    local cur=${COMP_WORDS[COMP_CWORD]} command= option= root= word kind i reply
    local -i words=0
    COMPREPLY=()
    [[ $cur == = ]] && cur=
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]} option=
        case $word in
            =) ;;
            --) return ;;
            -*)
                _corten_value "$command" "$word"
                [[ $kind == foreign ]] && return
                [[ $kind == flag ]] && continue
                option=$kind
                ((i++))
                [[ ${COMP_WORDS[i]} == = ]] && ((i++))
                [[ -z $command && ( $word == --root || $word == -r ) ]] && root=${COMP_WORDS[i]}
                ;;
            *)
                if [[ -z $command ]]; then
                    command=$word
                else
                    words+=1
                    _corten_words "$command" "$words"
                    [[ $kind == foreign ]] && return
                fi
                ;;
        esac
    done
    if ((i > COMP_CWORD)) || [[ ${COMP_WORDS[COMP_CWORD]} == = ]]; then
        kind=$option
    elif [[ $cur == -* ]]; then
        _corten_options "$command"
    elif [[ -z $command ]]; then
        kind="$_corten_commands"
    else
        _corten_words "$command" "$words"
    fi
    case $kind in
        directories) reply=$(compgen -d -- "$cur") ;;
        files) reply=$(compgen -f -- "$cur") ;;
        anything | foreign) return ;;
        ids) reply=$(compgen -W "$(corten ${root:+--root "$root"} list -q 2>/dev/null)" -- "$cur") ;;
        *) reply=$(compgen -W "$kind" -- "$cur") ;;
    esac
    [[ -n $reply ]] && mapfile -t COMPREPLY <<< "$reply"
    [[ $kind == files || $kind == directories ]] && compopt -o filenames 2>/dev/null
}

complete -F _corten corten
"#;

pub(super) fn script(top: &Verb, verbs: &[Verb]) -> String {
    let mut text =
        "# bash completion for corten, written by `corten completion bash`\n\n".to_owned();
    let commands = verbs.iter().flat_map(|verb| &verb.names);
    let commands: Vec<&str> = commands.map(String::as_str).collect();
    text += &format!("_corten_commands=\"{}\"\n\n", commands.join(" "));
    let all = || std::iter::once(top).chain(verbs);
    text += "_corten_options() {\n    case $1 in\n";
    for verb in all() {
        let longs: Vec<String> = verb
            .choices
            .iter()
            .map(|c| format!("--{}", c.long))
            .collect();
        text += &format!(
            "        {}) kind=\"{}\" ;;\n",
            pattern(verb),
            longs.join(" ")
        );
    }
    text += "        *) kind= ;;\n    esac\n}\n\n_corten_words() {\n    case \"$1 $2\" in\n";
    for verb in verbs {
        text += &words(verb);
    }
    text +=
        "        *) kind=anything ;;\n    esac\n}\n\n_corten_value() {\n    case \"$1 $2\" in\n";
    for verb in all() {
        for choice in &verb.choices {
            let Some(value) = &choice.value else { continue };
            let names = if verb.names.is_empty() {
                vec![String::new()]
            } else {
                verb.names.clone()
            };
            let patterns = names.iter().flat_map(|name| {
                let short = choice.short.map(|short| format!("\"{name} -{short}\""));
                std::iter::once(format!("\"{name} --{}\"", choice.long)).chain(short)
            });
            let patterns: Vec<String> = patterns.collect();
            text += &format!(
                "        {}) kind=\"{}\" ;;\n",
                patterns.join(" | "),
                kind(value)
            );
        }
    }
    text + "        *) kind=flag ;;\n    esac\n}\n" + MACHINE
}

/// What the words of a command may be: one line for each, and one for the rest.
fn words(verb: &Verb) -> String {
    let mut text = String::new();
    let mut line = |number: &str, kind: &str| {
        let patterns = verb.names.iter().map(|name| format!("\"{name} \"{number}"));
        let patterns: Vec<String> = patterns.collect();
        text += &format!("        {}) kind=\"{kind}\" ;;\n", patterns.join(" | "));
    };
    for (number, value) in verb.words.iter().enumerate() {
        line(&number.to_string(), &kind(value));
    }
    match (verb.rest, verb.words.last()) {
        (Rest::Again, Some(last)) => line("*", &kind(last)),
        (Rest::Foreign, _) => line("*", "foreign"),
        _ => {}
    }
    text
}

fn pattern(verb: &Verb) -> String {
    if verb.names.is_empty() {
        return "\"\"".to_owned();
    }
    verb.names.join(" | ")
}

fn kind(value: &Value) -> String {
    match value {
        Value::Id => "ids".to_owned(),
        Value::Directory => "directories".to_owned(),
        Value::File => "files".to_owned(),
        Value::Anything => "anything".to_owned(),
        Value::Foreign => "foreign".to_owned(),
        Value::OneOf(words) => names(words),
    }
}
