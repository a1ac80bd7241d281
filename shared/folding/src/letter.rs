//! What Unicode does not decompose, but a reader passes over.

/// The plain form of a letter or sign, if it has another one. Letters are lower case.
pub(crate) fn plain(character: char) -> Option<&'static str> {
    Some(match character {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' | 'ɔ' | 'ɵ' => "o",
        'ł' | 'ƚ' | 'ⱡ' | 'ɫ' => "l",
        'đ' | 'ð' | 'ɗ' | 'ɖ' | 'ƌ' => "d",
        'þ' => "th",
        'ħ' | 'ⱨ' => "h",
        'ŧ' | 'ⱦ' | 'ƭ' | 'ʈ' => "t",
        'ŋ' | 'ɲ' | 'ƞ' => "n",
        'ı' | 'ɨ' => "i",
        'ĸ' => "q",
        'ƀ' | 'ɓ' => "b",
        'ƈ' | 'ȼ' => "c",
        'ə' | 'ǝ' | 'ɛ' | 'ɇ' => "e",
        'ƒ' => "f",
        'ǥ' | 'ɠ' => "g",
        'ɉ' => "j",
        'ƙ' | 'ⱪ' => "k",
        'ƥ' => "p",
        'ɍ' => "r",
        'ȿ' => "s",
        'ʉ' => "u",
        'ʋ' => "v",
        'ƴ' | 'ɏ' => "y",
        'ƶ' | 'ȥ' | 'ɀ' | 'ⱬ' => "z",
        'ⱥ' => "a",
        // The same letter on another keyboard: Arabic, Persian and Urdu.
        'ى' | 'ی' => "ي",
        'ک' => "ك",
        'ة' | 'ہ' | 'ە' => "ه",
        // Quotes and dashes that a keyboard or an editor makes of plain ones.
        '‘' | '’' | '‚' | '‛' | 'ʼ' | 'ʻ' | 'ʹ' => "'",
        '“' | '”' | '„' | '‟' => "\"",
        '‐' | '‒' | '–' | '—' | '―' | '−' => "-",
        // Of ½ and its like.
        '⁄' => "/",
        _ => return None,
    })
}

/// Whether a character takes no space and says nothing to a reader: joiners, directions, soft hyphens, tatweel.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{640}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0001}'..='\u{e007f}'
    )
}
