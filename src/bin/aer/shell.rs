//! One command line for `/bin/sh -c` out of the words that a user typed.

/// One word is a command line already. Of several, each is quoted where the shell would read more into it than itself.
pub fn command_line(words: &[String]) -> String {
    match words {
        [line] => line.clone(),
        [program, arguments @ ..] => {
            let quoted = arguments.iter().map(|word| quote(word, is_plain(word)));
            let program = quote(program, is_plain(program) && !is_special_first(program));
            [program].into_iter().chain(quoted).collect::<Vec<_>>().join(" ")
        }
        [] => String::new(),
    }
}

/// Words that open or close a construct when they stand first (POSIX shell, "Reserved Words"; the last three are
/// those of some shells only).
const RESERVED: [&str; 16] = [
    "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until", "while",
    "function", "select", "time",
];

fn is_plain(word: &str) -> bool {
    let is_inert = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    !word.is_empty() && word.bytes().all(is_inert)
}

/// In front, `A=b` assigns a variable.
fn is_special_first(word: &str) -> bool {
    word.contains('=') || RESERVED.contains(&word)
}

fn quote(word: &str, is_plain: bool) -> String {
    // Nothing is special between single quotes but the quote itself, which steps outside for a moment.
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        command_line(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn one_word_goes_to_the_shell_as_it_is() {
        assert_eq!(line(&["while true; do date; done"]), "while true; do date; done");
        assert_eq!(line(&[""]), "");
    }

    #[test]
    fn several_words_are_quoted_where_they_need_it() {
        for (words, expected) in [
            (&["sleep", "4000"][..], "sleep 4000"),
            (&["sh", "-c", "echo a b; sleep 9"], "sh -c 'echo a b; sleep 9'"),
            (&["echo", "", "it's", "$HOME", "~"], r"echo '' 'it'\''s' '$HOME' '~'"),
            (&["/bin/env", "A=b", "x@y:1,2%+_"], "/bin/env A=b x@y:1,2%+_"),
            (&["A=b", "env"], "'A=b' env"),
            (&["time", "time"], "'time' time"),
            (&["a\nb", "ü"], "'a\nb' 'ü'"),
        ] {
            assert_eq!(line(words), expected);
        }
    }

    #[test]
    fn the_shell_sees_the_words_that_were_typed() {
        let words = [
            "printf", "[%s]", "", " ", "'", "''", "\"", "\\", "$(x)", "`x`", "*", "#", "a\n", "-n", "{a,b}",
            "!", "é",
        ];
        let output =
            std::process::Command::new("/bin/sh").args(["-c", &line(&words)]).output().expect("sh runs");
        let expected: String = words[2..].iter().map(|word| format!("[{word}]")).collect();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}
