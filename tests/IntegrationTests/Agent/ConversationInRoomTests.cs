using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.IntegrationTests.Agent;

/// <summary>The whole agent in a real room; timings are bounds, generous for a busy machine.</summary>
[RealTime]
internal sealed class ConversationInRoomTests
{
    private const string Story =
        "Once upon a time there was a little bistro at the corner of a long street, and its cook was known for the best soup in town. "
        + "Every morning he went to the market, and every evening the whole street came to his table.";

    private static readonly object Script = new
    {
        rules = new object[] { new { when = "story", say = Story }, new { when = "stop|talk|please", say = "As you wish." }, new { when = "bye", say = "See you soon.", end_call = true } },
        otherwise = "What do you mean?",
    };

    [Test]
    public async Task A_caller_who_interrupts_hears_silence_soon_and_the_history_keeps_what_was_heard()
    {
        await using var call = await RealConversation.StartAsync("Welcome.", Script);
        await call.HearOutAsync();
        var before = call.AudibleFrames;
        await call.WriteAsync("a story");
        await RealConversation.UntilAsync(() => call.AudibleFrames > before + 75, () => "The story was not heard.");

        await call.SayAsync("please stop talking now");
        var clock = TimeProvider.System;
        var began = clock.GetTimestamp();
        await RealConversation.UntilAsync(() => call.QuietFrames > 15, () => "The assistant went on speaking.", seconds: 5);
        var silentAfter = clock.GetElapsedTime(began) - TimeSpan.FromMilliseconds(15 * 20);
        await RealConversation.UntilAsync(() => call.Transcript.Any(l => l == "A: As you wish."), () => string.Join(" | ", call.Transcript));

        TestContext.Out.WriteLine($"silent {silentAfter.TotalMilliseconds:0} ms after the caller began; {string.Join(" | ", call.Transcript)}");
        Assert.That(silentAfter.TotalSeconds, Is.LessThan(2), "0.5 s of speech are asked for; the rest is the way.");
        var cut = call.Transcript.Single(l => l.EndsWith('*'));
        Assert.That(cut[3..^1], Is.EqualTo(Story[..(cut.Length - 4)]));
        Assert.That(cut.Split(' '), Has.Length.InRange(4, 30));
    }

    [Test]
    public async Task A_sound_without_words_makes_the_assistant_pause_and_go_on()
    {
        await using var call = await RealConversation.StartAsync("Welcome.", Script, new InterruptionSettings { MinWords = 3, FalseInterruptionTimeoutS = 0.5 });
        await call.HearOutAsync();
        var before = call.AudibleFrames;
        await call.WriteAsync("a story");
        await RealConversation.UntilAsync(() => call.AudibleFrames > before + 75, () => "The story was not heard.");
        call.Sound(LiveKit.Tone.Make(300, 16_000, 12_800));

        await RealConversation.UntilAsync(() => call.QuietFrames > 25, () => "It did not pause.", seconds: 5);
        var pausedAt = call.AudibleFrames;
        await RealConversation.UntilAsync(() => call.AudibleFrames > pausedAt + 50, () => "It did not go on.");
        await RealConversation.UntilAsync(() => call.QuietFrames > 75 && call.Transcript[^1] == $"A: {Story}", () => string.Join(" | ", call.Transcript));
        Assert.That(call.Notes, Does.Contain("interruption.false"));
    }

    [Test]
    public async Task What_the_caller_writes_is_answered_aloud_and_the_room_sees_state_and_transcript()
    {
        await using var call = await RealConversation.StartAsync("Welcome to the bistro.", Script);
        await call.HearOutAsync();
        var before = call.AudibleFrames;
        await call.WriteAsync("bye");
        await RealConversation.UntilAsync(() => call.AudibleFrames > before + 20, () => "The answer was not heard.");

        Assert.That(await call.Finished.WaitAsync(TimeSpan.FromSeconds(20)), Is.EqualTo(EndReasons.AssistantEnded));
        Assert.That(call.Transcript, Is.EqualTo(["A: Welcome to the bistro.", "U: bye", "A: See you soon."]));
        Assert.That(call.States, Is.SupersetOf(["thinking", "speaking", "listening"]));
        Assert.That(call.ShownTexts, Is.SupersetOf(["assistant-ai-agent: Welcome to the bistro.", "caller: bye", "assistant-ai-agent: See you soon."]));
    }

    [Test]
    public async Task An_agent_whose_connection_is_made_anew_goes_on_with_its_conversation()
    {
        await using var call = await RealConversation.StartAsync("Welcome.", Script);
        await call.HearOutAsync();
        await call.ReconnectAgentAsync();
        await call.WriteAsync("please");
        await RealConversation.UntilAsync(() => call.Transcript.Contains("A: As you wish."), () => string.Join(" | ", call.Transcript));
        Assert.That(call.Finished.IsCompleted, Is.False);

        var before = call.AudibleFrames;
        await call.WriteAsync("bye");
        await RealConversation.UntilAsync(() => call.AudibleFrames > before + 20, () => "It was not heard again.");
        Assert.That(await call.Finished.WaitAsync(TimeSpan.FromSeconds(20)), Is.EqualTo(EndReasons.AssistantEnded));
        Assert.That(call.Transcript, Is.EqualTo(["A: Welcome.", "U: please", "A: As you wish.", "U: bye", "A: See you soon."]));
    }

    [Test]
    public async Task A_caller_who_hangs_up_in_the_middle_of_a_sentence_ends_the_session()
    {
        await using var call = await RealConversation.StartAsync(Story, Script);
        await RealConversation.UntilAsync(() => call.AudibleFrames > 30, () => "The greeting was not heard.");
        await call.HangUpAsync();

        Assert.That(await call.Finished.WaitAsync(TimeSpan.FromSeconds(20)), Is.EqualTo(EndReasons.CallerLeft));
        Assert.That(call.Transcript.Single(), Does.StartWith("A: Once").And.EndsWith("*"));
    }
}
