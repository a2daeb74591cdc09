using System.Text.Json;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Providers.Script;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Tests.Agent;

internal sealed class ScriptModelTests
{
    private const string Rules = """
        {"rules":[{"when":"hours|open","say":"From nine to ten, {{name}}."},{"when":"name","say":"{{ name }} or {{unknown}}"},{"when":"bye","say":"Bye.","end_call":true},{"when":"hang up","end_call":true}],
         "otherwise":"What, {{name}}?"}
        """;

    [TestCase("What are your OPENING hours", "From nine to ten, Ann.")]
    [TestCase("my name and your hours", "From nine to ten, Ann.", TestName = "The first rule that matches answers")]
    [TestCase("my name", "Ann or {{unknown}}", TestName = "An unknown variable stays as it is")]
    [TestCase("something else", "What, Ann?")]
    [TestCase("bye now", "Bye.<end>")]
    [TestCase("hang up", "<end>")]
    public async Task A_rule_answers(string said, string expected) => Assert.That(await AskAsync(Rules, said), Is.EqualTo(expected));

    [Test]
    public async Task Without_rules_it_asks_again() => Assert.That(await AskAsync("{}", "hello"), Is.EqualTo("Sorry, I did not get that."));

    [TestCase("""{"rules":[{"when":"("}]}""")]
    [TestCase("""{"rules":[{"when":"(?<=a)b"}]}""")]
    [TestCase("""{"rules":[{}]}""")]
    [TestCase("""{"rules":7}""")]
    public void A_script_that_cannot_be_read_is_a_failure_that_another_model_may_mend(string options)
    {
        var e = Assert.ThrowsAsync<ProviderException>(() => AskAsync(options, "hello"))!;
        Assert.That(e.Retryable, Is.False);
    }

    private static async Task<string> AskAsync(string options, string said)
    {
        var assistant = new AssistantDocument
        {
            Name = "Test",
            Llm = new LanguageModelChoice { Options = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(options)! },
        };
        var text = "";
        await foreach (var piece in new ScriptModel().AnswerAsync(new Prompt(assistant, new Dictionary<string, string> { ["name"] = "Ann" }, [], said), default))
        {
            text += piece is Generated.Text t ? t.Piece : "<end>";
        }

        return text;
    }
}
