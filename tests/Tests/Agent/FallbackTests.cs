using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.Agent;

/// <summary>A provider that stalls is a failed provider.</summary>
internal sealed class FallbackTests
{
    private static readonly Prompt Question = new(new AssistantDocument { Name = "Test" }, new Dictionary<string, string>(), [], "hello");
    private static readonly ProviderException Broken = new("test", "it broke", retryable: true);

    private readonly ManualTime _time = new();
    private readonly List<string> _givenUp = [];

    [Test]
    public async Task The_first_model_that_answers_answers()
    {
        Assert.That(await AskAsync(Model((_, _) => ScriptedMind.ThenFails(Broken)), Model((_, _) => ScriptedMind.Texts("second"))), Is.EqualTo("second"));
        Assert.That(_givenUp, Is.EqualTo(["it broke"]));
    }

    [Test]
    public async Task A_model_that_is_silent_for_too_long_is_given_up()
    {
        Assert.That(await AskAsync(Model((_, ct) => ScriptedMind.ThenStalls(_time, [], ct)), Model((_, _) => ScriptedMind.Texts("second"))), Is.EqualTo("second"));
        Assert.That(_givenUp, Is.EqualTo(["test/mind said nothing for 8 s."]));
    }

    [Test]
    public void A_model_that_stalls_after_its_first_word_fails_the_answer()
    {
        var e = Assert.ThrowsAsync<ProviderException>(() => AskAsync(Model((_, ct) => ScriptedMind.ThenStalls(_time, ["first "], ct)), Model((_, _) => ScriptedMind.Texts("second"))))!;

        Assert.That((e.Message, e.Retryable), Is.EqualTo(("test/mind said nothing for 5 s.", true)));
    }

    [Test]
    public void A_failure_after_the_first_word_is_a_failure() =>
        Assert.ThrowsAsync<ProviderException>(() => AskAsync(Model((_, _) => ScriptedMind.ThenFails(Broken, "first ")), Model((_, _) => ScriptedMind.Texts("second"))));

    [Test]
    public async Task Usage_that_came_before_a_failure_is_kept_and_no_reason_to_stay()
    {
        Assert.That(await AskAsync(Model((_, _) => UsesThenFailsAsync()), Model((_, _) => ScriptedMind.Texts("second"))), Is.EqualTo("[5]second"));

        static async IAsyncEnumerable<Generated> UsesThenFailsAsync()
        {
            await Task.Yield();
            yield return new Generated.Used(new UsageTotal("llm_input", "test", "mind", "token", 5));
            throw Broken;
        }
    }

    [Test]
    public void When_all_fail_the_last_failure_is_told() =>
        Assert.That(Assert.ThrowsAsync<ProviderException>(() => AskAsync(Model((_, _) => ScriptedMind.ThenFails(Broken)), Model((_, ct) => ScriptedMind.ThenStalls(_time, [], ct))))!.Message, Does.Contain("8 s"));

    [Test]
    public async Task A_slow_listener_is_not_a_slow_model()
    {
        var model = new FallbackModel([Model((_, _) => ScriptedMind.Texts("one ", "two"))], TimeSpan.FromSeconds(8), TimeSpan.FromSeconds(5), _time, e => _givenUp.Add(e.Message));
        var text = "";
        await foreach (var piece in model.AnswerAsync(Question, default))
        {
            _time.Advance(TimeSpan.FromSeconds(60));
            text += ((Generated.Text)piece).Piece;
        }

        Assert.That(text, Is.EqualTo("one two"));
    }

    [Test]
    public void Cancelling_is_no_failure()
    {
        using var cut = new CancellationTokenSource();
        cut.Cancel();
        var model = new FallbackModel([Model((_, ct) => ScriptedMind.ThenStalls(_time, [], ct))], TimeSpan.FromSeconds(8), TimeSpan.FromSeconds(5), _time, e => _givenUp.Add(e.Message));

        Assert.CatchAsync<OperationCanceledException>(async () => await model.AnswerAsync(Question, cut.Token).ToListAsync());
        Assert.That(_givenUp, Is.Empty);
    }

    [Test]
    public async Task The_next_voice_speaks_when_one_fails()
    {
        var voice = new FallbackVoice([new ScriptedVoice { Fails = _ => Broken }, new ScriptedVoice()], TimeSpan.FromSeconds(5), _time, e => _givenUp.Add(e.Message));

        Assert.That((await voice.SpeakAsync("three words here", default).ToListAsync()).Single().Length, Is.EqualTo(9600));
        Assert.That(_givenUp, Is.EqualTo(["it broke"]));
    }

    private static ScriptedMind Model(Func<Prompt, CancellationToken, IAsyncEnumerable<Generated>> answer) => new() { Answer = answer };

    private async Task<string> AskAsync(params ILanguageModel[] models)
    {
        var answer = ReadAsync();
        while (!answer.IsCompleted)
        {
            // Slow enough for whoever answers at once to have answered before he counts as silent, on a busy machine too.
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
            _time.Advance(TimeSpan.FromMilliseconds(10));
        }

        return await answer;

        async Task<string> ReadAsync()
        {
            var text = "";
            var model = new FallbackModel(models, TimeSpan.FromSeconds(8), TimeSpan.FromSeconds(5), _time, e => _givenUp.Add(e.Message));
            await foreach (var piece in model.AnswerAsync(Question, default))
            {
                text += piece is Generated.Text t ? t.Piece : $"[{((Generated.Used)piece).Total.Quantity}]";
            }

            return text;
        }
    }
}
