package dev.isthmus.train.report;

/** Text made harmless. */
final class Html {
    private Html() {}

    /**
     * Text that a page shows as it is, whatever a model wrote: no markup, no attribute, no control character gets
     * through.
     *
     * <p>Control characters become their pictures (U+2400 and on); half a surrogate pair, which UTF-8 cannot carry,
     * becomes U+FFFD.
     */
    static String escape(String text) {
        StringBuilder out = new StringBuilder(text.length() + 16);
        text.codePoints().forEach(c -> {
            switch (c) {
                case '&' -> out.append("&amp;");
                case '<' -> out.append("&lt;");
                case '>' -> out.append("&gt;");
                case '"' -> out.append("&quot;");
                case '\'' -> out.append("&#39;");
                case '\n', '\t' -> out.append((char) c);
                default -> {
                    if (c < 0x20) {
                        out.append((char) (0x2400 + c));
                    } else if (c >= 0x7f && c < 0xa0 || c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE) {
                        out.append('\ufffd');
                    } else {
                        out.appendCodePoint(c);
                    }
                }
            }
        });
        return out.toString();
    }
}
