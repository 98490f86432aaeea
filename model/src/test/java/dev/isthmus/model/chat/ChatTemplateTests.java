package dev.isthmus.model.chat;

import static dev.isthmus.testing.Fixtures.fixture;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.isthmus.model.io.Json;
import dev.isthmus.testing.Mutations;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

class ChatTemplateTests {
    @TempDir
    Path dir;

    static Stream<JsonNode> cases() {
        return Json.read(fixture("tokenizer/chat_templates.json")).get("cases").valueStream();
    }

    @ParameterizedTest
    @MethodSource("cases")
    @Tag("fixture")
    void rendersAsTransformers(JsonNode c) {
        JsonNode file = Json.read(fixture("tokenizer/chat_templates.json"));
        String name = c.get("template").stringValue();
        Map<String, String> tokens = new LinkedHashMap<>();
        file.get("tokens")
                .get(name)
                .properties()
                .forEach(t -> tokens.put(t.getKey(), t.getValue().stringValue()));
        ChatTemplate template = ChatTemplate.of(file.get("templates").get(name).stringValue(), tokens);
        List<Map<String, @Nullable Object>> messages = new ArrayList<>();
        for (JsonNode message : c.get("messages")) {
            messages.add(map(message));
        }
        boolean prompt = c.get("add_generation_prompt").asBoolean();
        if (c.get("error").isNull()) {
            assertThat(template.render(messages, prompt))
                    .isEqualTo(c.get("rendered").stringValue());
        } else {
            assertThatThrownBy(() -> template.render(messages, prompt))
                    .isInstanceOfSatisfying(
                            TemplateException.class,
                            e -> assertThat(e.isRejection()).isTrue())
                    .hasMessage(c.get("error").stringValue().replaceFirst("^\\w+: ", ""));
        }
    }

    private static Map<String, @Nullable Object> map(JsonNode object) {
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        object.properties().forEach(entry -> map.put(entry.getKey(), value(entry.getValue())));
        return map;
    }

    private static @Nullable Object value(JsonNode node) {
        return switch (node) {
            case JsonNode n when n.isObject() -> map(n);
            case JsonNode n
            when n.isArray() -> n.valueStream().map(ChatTemplateTests::value).toList();
            case JsonNode n when n.isString() -> n.stringValue();
            case JsonNode n when n.isBoolean() -> n.booleanValue();
            case JsonNode n when n.isIntegralNumber() -> n.longValue();
            case JsonNode n when n.isNumber() -> n.doubleValue();
            default -> null;
        };
    }

    /** Expected values are those of jinja2. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '#',
            quoteCharacter = '`',
            value = {
                "{{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -2 ** 2 }} {{ 7 / 2 }} # `7 3 -4 1 4 3.5`",
                "{{ 'a' ~ 1 ~ none }} # `a1None`",
                "{{ [1, 'x', none, true, {'k': 1.0}] }} # `[1, 'x', None, True, {'k': 1.0}]`",
                "{{ [1, 2, 3][1:] }}{{ [1, 2, 3][::-1] }}{{ 'abc'[-1] }}{{ 'abc'[:2] }} # `[2, 3][3, 2, 1]cab`",
                "{{ 'yes' if 0 else 'no' }}{{ 'x' if false }} # no",
                "{{ 1 < 2 < 3 }} {{ 2 in [1, 2] }} {{ 'b' not in 'abc' }} {{ not 1 is defined }} # `True True False False`",
                "{{ x is defined }} {{ x is not defined }} {{ x | default('d') }} # `False True d`",
                "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }}{% if not loop.last %},{% endif %}{% endfor %} # `a=1,b=2`",
                "{% for i in range(5) if i is odd %}{{ loop.index }}:{{ i }} {% else %}none{% endfor %}| # `1:1 2:3 |`",
                "{% for i in [] %}x{% else %}none{% endfor %} # none",
                "{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }} # 3",
                "{% set n = 0 %}{% for i in [1, 2] %}{% set n = n + i %}{% endfor %}{{ n }} # 0",
                "{% macro m(a, b='z') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m('x', b='y') }} # 1zxy",
                "{{ {'a': [1, {'b': none}], 'c': 'é\"'} | tojson }} # `{\"a\": [1, {\"b\": null}], \"c\": \"é\\\"\"}`",
                "{{ ' x ' | trim }}|{{ 'a,b' | replace(',', ';') | upper }}|{{ [3, 1, 2] | sort | join('-') }} # `x|A;B|1-2-3`",
                "{{ [{'r': 'u'}, {'r': 's'}] | selectattr('r', 'equalto', 's') | list | length }} # 1",
                "{{ [{'r': 'u'}, {'r': 's'}] | map(attribute='r') | join(' ') }} # `u s`",
                "{{ 'a</think>b'.split('</think>')[-1].lstrip('\\n') }} # b",
                "{% raw %}{{ x }}{% endraw %} # `{{ x }}`",
                "{% filter upper %}a{{ 'b' }}{% endfilter %}{% set t %}x{{ 1 }}{% endset %}{{ t }} # ABx1",
                "{{ 'it''s' if false else \"it's\" }} # it's",
                "{%- for i in [1, 2, 3] -%} {% if i == 2 %}{% continue %}{% endif %}{{ i }} {%- endfor -%} # 13",
                "{{ 1e20 }} {{ 0.00001 }} {{ 100.0 }} {{ [] | tojson }} # `1e+20 1e-05 100.0 []`",
            })
    void computesAsJinja(String template, String expected) {
        assertThat(ChatTemplate.of(template, Map.of()).render(List.of(), false)).isEqualTo(expected);
    }

    @Test
    void blocksLeaveNoLineEndsAndNoIndentation() {
        String source = "a\n  {% if true %}\n    b\n  {% endif %}\n{# note #}\nc {%- if true %} d {%+ endif %}\n\n";
        assertThat(ChatTemplate.of(source, Map.of()).render(List.of(), false)).isEqualTo("a\n    b\nc d ");
    }

    @Test
    void saysWhatTheAssistantIsToLearn() {
        ChatTemplate template = ChatTemplate.of(
                "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}"
                        + "{% else %}<{{ m.content }}>{% endif %}{% endfor %}",
                Map.of());
        ChatTemplate.Rendered rendered = template.render(
                List.of(
                        ChatTemplate.message("user", "hi"),
                        ChatTemplate.message("assistant", "hello"),
                        ChatTemplate.message("user", "2?"),
                        ChatTemplate.message("assistant", "3")),
                false,
                Map.of());
        assertThat(rendered.generated().stream().map(s -> rendered.text().substring(s.start(), s.end())))
                .containsExactly("hello", "3");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{% if %}",
                "{% for x %}{% endfor %}",
                "{{ 'a }}",
                "{{ 1 + }}",
                "{% unknown %}",
                "{% if 1 %}",
                "{% endif %}",
                "{{ x.y.z }}",
                "{{ none.x() }}",
                "{{ 1 / 0 }}",
                "{{ 'a' + 1 }}",
                "{{ [1] | nosuch }}",
                "{{ 1 is nosuch }}",
                "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
                "{{ 'x' * 1000000000 }}",
                "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
                "{# open",
                "{{ raise_exception() }}"
            })
    void saysWhatIsWrong(String source) {
        assertThatThrownBy(() -> ChatTemplate.of(source, Map.of()).render(List.of(), false))
                .isInstanceOf(TemplateException.class);
    }

    @Test
    void survivesDeepNestingAndDamage() {
        for (String open : List.of("(", "[", "not ", "-", "{% if 1 %}")) {
            String source = open.startsWith("{") ? open.repeat(5000) : "{{ " + open.repeat(5000) + " }}";
            assertThatThrownBy(() -> ChatTemplate.of(source, Map.of())).isInstanceOf(TemplateException.class);
        }
        String good =
                "{% for m in messages %}{{ '<|' + m['role'] + '|>' }}{% if loop.last and m.content is string %}{{ m.content "
                        + "| trim }}{% elif m.x %}{% set n = namespace(a=[1, 2][0:1]) %}{{ n.a | tojson(indent=2) }}{% endif %}{% endfor %}";
        byte[] bytes = good.getBytes(StandardCharsets.UTF_8);
        Mutations.assertSurvives(
                "chat template",
                bytes,
                bytes.length,
                damaged -> ChatTemplate.of(new String(damaged, StandardCharsets.UTF_8), Map.of())
                        .render(List.of(ChatTemplate.message("user", "hi")), true));
    }

    @Test
    void findsTheTemplateOfAModel() throws Exception {
        assertThat(ChatTemplate.load(dir)).isEmpty();
        Files.writeString(
                dir.resolve("tokenizer_config.json"),
                "{\"bos_token\": {\"content\": \"<s>\"}, \"chat_template\": \"{{ bos_token }}{{ messages[0].content }}\"}");
        assertThat(ChatTemplate.load(dir).orElseThrow().render(List.of(ChatTemplate.message("user", "x")), false))
                .isEqualTo("<s>x");
        Files.writeString(dir.resolve("chat_template.jinja"), "{{ bos_token }}!");
        assertThat(ChatTemplate.load(dir).orElseThrow().render(List.of(), false))
                .isEqualTo("<s>!");
    }
}
