//! For GNU bash, without the package bash-completion.

use super::{Value, Verb};

/// Reads what is written so far: the command, `--root`, and whether the word at the
/// cursor is the value of an option.
const MACHINE: &str = r#"
_corten() {
    local cur=${COMP_WORDS[COMP_CWORD]} command= option= root= word kind i reply
    local -i words=0
    [[ $cur == = ]] && cur=
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]} option=
        case $word in
            =) ;;
            -*)
                _corten_value "$command" "$word"
                [[ $kind == flag ]] && continue
                option=$kind
                ((i++))
                [[ ${COMP_WORDS[i]} == = ]] && ((i++))
                [[ -z $command && ( $word == --root || $word == -r ) ]] && root=${COMP_WORDS[i]}
                ;;
            *) if [[ -z $command ]]; then command=$word; else words+=1; fi ;;
        esac
    done
    if ((i > COMP_CWORD)) || [[ ${COMP_WORDS[COMP_CWORD]} == = ]]; then
        kind=$option
    elif [[ $cur == -* ]]; then
        _corten_options "$command"
    elif [[ -z $command ]]; then
        kind="$_corten_commands"
    else
        _corten_words "$command"
        [[ $kind == ids && $command != stats && $words -gt 0 ]] && kind=files
    fi
    case $kind in
        directories) reply=$(compgen -d -- "$cur") ;;
        files) reply=$(compgen -f -- "$cur") ;;
        anything) return ;;
        ids) reply=$(compgen -W "$(corten ${root:+--root "$root"} list -q 2>/dev/null)" -- "$cur") ;;
        *) reply=$(compgen -W "$kind" -- "$cur") ;;
    esac
    local IFS=$'\n'
    COMPREPLY=($reply)
    [[ $kind == files || $kind == directories ]] && compopt -o filenames 2>/dev/null
}

complete -F _corten corten
"#;

pub(super) fn script(top: &Verb, verbs: &[Verb]) -> String {
    let mut text =
        "# bash completion for corten, written by `corten completion bash`\n\n".to_owned();
    let names: Vec<&str> = verbs
        .iter()
        .flat_map(|verb| &verb.names)
        .map(String::as_str)
        .collect();
    text += &format!("_corten_commands=\"{}\"\n\n", names.join(" "));
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
    text += "        *) kind= ;;\n    esac\n}\n\n_corten_words() {\n    case $1 in\n";
    for verb in verbs {
        text += &format!(
            "        {}) kind=\"{}\" ;;\n",
            pattern(verb),
            kind(&verb.words)
        );
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
        Value::OneOf(words) => words.join(" "),
    }
}
