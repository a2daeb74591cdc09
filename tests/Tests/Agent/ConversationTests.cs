using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Pipeline;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Tests.Agent;

internal sealed class ConversationTests
{
    private static readonly AssistantDocument Assistant = new() { Name = "Test", Greeting = new Greeting { Text = "Hello and welcome." } };

    /// <summary>Whoever is silent is not asked whether somebody is there.</summary>
    private static readonly AssistantDocument Talkative = Assistant with { Limits = new Limits { IdleRepromptS = 0 } };

    [Test]
    public async Task The_assistant_greets_listens_and_answers()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        await call.SayAsync("what time is it");
        await call.UntilAsync(() => call.Room.Spoken.Length == 2 && call.Room.State == "listening", "an answer");

        Assert.That(await call.TranscriptAsync(), Is.EqualTo(["A0: Hello and welcome.", "U1: what time is it", "A1: You said: what time is it."]));
        Assert.That(call.Mind.Asked.Single().History.Single(), Is.EqualTo(new Said(Speaker.Agent, "Hello and welcome.")));
        var timing = (await call.TurnsAsync())[1];
        Assert.That((timing.EndpointingMs, timing.TranscriptionMs, timing.Interrupted), Is.EqualTo((500, 100, false)).Within(60));
    }

    [Test]
    public async Task A_reply_that_follows_a_cut_one_at_once_waits_for_the_line()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        call.Line.Release = TimeSpan.FromSeconds(0.5);
        call.Mind.Answer = (_, _) => ScriptedMind.Texts("One two three four five six seven eight nine ten.");
        await call.SayAsync("a story");
        await call.UntilAsync(() => call.Room.State == "speaking" && call.Line.Given > 15, "the story");
        await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);      // The clock stands: whoever plays waits with a frame.
        Assert.That(call.Line.IsTaking, Is.True);
        await call.PostAsync(new ConversationEvent.Say("Wait."));

        await call.UntilAsync(() => call.Room.State == "listening", "the word");
        Assert.That((await call.TranscriptAsync())[^1], Does.EndWith(": Wait."));
        Assert.That(call.Notes.Select(n => n.Kind), Has.None.EqualTo("reply.failed"));
    }

    [Test]
    public async Task A_caller_who_interrupts_silences_the_assistant_and_only_what_was_heard_is_kept()
    {
        await using var call = new ScriptedCall();
        call.Mind.Answer = (prompt, _) => ScriptedMind.Texts(prompt.Text == "a story" ? "One two three four five six seven eight nine ten eleven twelve thirteen fourteen." : "All right.");
        await call.AnswerTheCallAsync();
        await call.SayAsync("a story");
        await call.UntilAsync(() => call.Room.State == "speaking", "the story");
        await call.PassAsync(1);
        await call.StartSpeakingAsync();
        await call.PassAsync(0.6);
        var heard = call.Line.Heard.Length;
        await call.PostAsync(new ConversationEvent.Heard(new Transcription.Partial(2, "please stop")));
        await call.PassAsync(0.5);
        Assert.That(call.Line.Heard, Has.Length.EqualTo(heard), "It went on speaking.");
        await call.StopSpeakingAsync("please stop");
        await call.UntilAsync(() => call.Room.Spoken[^1] == "All right." && call.Room.State == "listening", "the next answer");

        var transcript = await call.TranscriptAsync();
        Assert.That(transcript[2], Does.Match(@"^A1: One( \w+)*\*$"));
        Assert.That(transcript[2].Split(' ').Length - 1, Is.EqualTo((heard - 30) / 10).Within(2), "200 ms a word, after the greeting's three.");
        Assert.That(transcript[3..], Is.EqualTo(["U2: please stop", "A2: All right."]));
        Assert.That(call.Mind.Asked[1].History[^1].Text, Is.EqualTo(transcript[2][4..^1]), "The model is told what was heard.");
    }

    [Test]
    public async Task A_cough_does_not_interrupt()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        await call.SayAsync("one two three four five six seven eight nine ten");
        await call.UntilAsync(() => call.Room.State == "speaking", "an answer");
        await call.SayAsync("", seconds: 0.6);
        await call.UntilAsync(() => call.Room.State == "listening", "the end of the answer");

        var transcript = await call.TranscriptAsync();
        Assert.That(transcript[^1], Is.EqualTo("A1: You said: one two three four five six seven eight nine ten."));
        Assert.That(call.Notes.Select(n => n.Kind), Is.EqualTo(["interruption.false"]));
        Assert.That(call.Line.Heard.Count(v => v == 1000), Is.EqualTo((3 + 12) * 10), "Every frame was heard exactly once.");
    }

    [Test]
    public async Task The_greeting_can_be_talked_over()
    {
        await using var call = new ScriptedCall(Assistant with { Greeting = new Greeting { Text = "Hello and a very warm welcome to all of you who have called us today." } });
        await call.PostAsync(new ConversationEvent.CallerReady());
        await call.UntilAsync(() => call.Room.State == "speaking", "the greeting");
        await call.SayAsync("opening hours");
        await call.UntilAsync(() => call.Room.Spoken.Length == 2, "the answer");

        Assert.That((await call.TranscriptAsync())[0], Does.EndWith("*"));
    }

    [Test]
    public async Task A_model_that_fails_is_apologised_for_and_failing_twice_in_a_row_ends_the_conversation()
    {
        await using var call = new ScriptedCall();
        call.Mind.Answer = (_, _) => ScriptedMind.ThenFails(new ProviderException("test", "it broke", retryable: true));
        await call.AnswerTheCallAsync();
        await call.SayAsync("hello");
        await call.UntilAsync(() => call.Room.Spoken.Length == 2 && call.Room.State == "listening", "the apology");
        Assert.That(call.Room.Spoken[1], Does.Contain("something went wrong"));
        await call.SayAsync("hello again");
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.AgentFailed));
        Assert.That((await call.TranscriptAsync())[^1], Does.Contain("Goodbye"));
    }

    [Test]
    public async Task One_good_answer_makes_up_for_a_failure()
    {
        await using var call = new ScriptedCall();
        var asked = 0;
        call.Mind.Answer = (_, _) => ++asked % 2 == 1 ? ScriptedMind.ThenFails(new ProviderException("test", "it broke", retryable: true)) : ScriptedMind.Texts("Fine now.");
        await call.AnswerTheCallAsync();
        for (var turn = 0; turn < 6; turn++)
        {
            var spoken = call.Room.Spoken.Length;
            await call.SayAsync($"number {turn}");
            await call.UntilAsync(() => call.Room.Spoken.Length == spoken + 1 && call.Room.State == "listening", $"answer {turn}");
        }

        Assert.That(call.Running.IsCompleted, Is.False);
    }

    [Test]
    public async Task A_model_that_breaks_off_is_heard_as_far_as_it_came_and_apologised_for()
    {
        await using var call = new ScriptedCall();
        call.Mind.Answer = (_, _) => ScriptedMind.ThenFails(new ProviderException("test", "it broke", retryable: true), "This is the first sentence. ", "And");
        await call.AnswerTheCallAsync();
        await call.SayAsync("hello");
        await call.UntilAsync(() => call.Room.Spoken.Any(s => s.Contains("something went wrong")), "the apology");
    }

    [Test]
    public async Task A_voice_that_is_gone_ends_the_conversation_rather_than_leaving_it_silent()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        call.Voice.Fails = _ => new ProviderException("test", "no voice", retryable: false);
        await call.SayAsync("hello");
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.AgentFailed));
    }

    [Test]
    public async Task A_recogniser_that_failed_on_a_sentence_has_it_said_again()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        await call.StartSpeakingAsync();
        await call.StopSpeakingAsync(null);
        await call.PostAsync(new ConversationEvent.Heard(new Transcription.Failed(1, new ProviderException("test", "no ears", retryable: true))));

        await call.UntilAsync(() => call.Room.Spoken.Any(s => s.Contains("say that again")), "the question");
    }

    [Test]
    public async Task A_recogniser_that_never_answers_has_it_said_again()
    {
        await using var call = new ScriptedCall(Assistant with { Limits = new Limits { IdleRepromptS = 0 } });
        await call.AnswerTheCallAsync();
        await call.StartSpeakingAsync();
        await call.StopSpeakingAsync(null);

        await call.UntilAsync(() => call.Room.Spoken.Any(s => s.Contains("did not catch")), "the question");
    }

    [Test]
    public async Task A_recogniser_that_is_gone_ends_the_conversation_with_a_goodbye()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        await call.PostAsync(new ConversationEvent.Heard(new Transcription.Failed(1, new ProviderException("test", "no ears", retryable: false))));
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.AgentFailed));
        Assert.That((await call.TranscriptAsync())[^1], Does.Contain("Goodbye"));
    }

    [Test]
    public async Task The_goodbye_is_said_to_its_end_and_what_is_said_into_it_is_kept_but_not_answered()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        await call.PostAsync(new ConversationEvent.Reported(Continuation.OutOfCredits));
        await call.UntilAsync(() => call.Room.State == "speaking", "the goodbye");
        await call.SayAsync("wait a moment", seconds: 0.7);
        await call.PostAsync(new ConversationEvent.Wrote("and this"));
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.OutOfCredits));
        var transcript = await call.TranscriptAsync();
        Assert.That(transcript, Does.Contain("U1: wait a moment"));
        Assert.That(transcript, Does.Contain("A0: Your credits are used up, so I have to end this conversation. Goodbye."));
        Assert.That(call.Mind.Asked, Is.Empty);
    }

    [Test]
    public async Task Credits_that_end_in_the_middle_of_an_answer_end_the_conversation_with_a_goodbye()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        await call.SayAsync("one two three four five six seven eight nine ten");
        await call.UntilAsync(() => call.Room.State == "speaking", "an answer");
        await call.PostAsync(new ConversationEvent.Reported(Continuation.OutOfCredits));
        await call.PostAsync(new ConversationEvent.Reported(Continuation.OutOfCredits));
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.OutOfCredits));
        Assert.That((await call.TranscriptAsync())[^1], Does.EndWith("Goodbye."));
    }

    [Test]
    public async Task A_conversation_is_over_with_its_goodbye_before_what_is_paid_for_is_when_nobody_says_that_there_is_more()
    {
        await using var call = new ScriptedCall(Talkative, covered: TimeSpan.FromSeconds(15));
        var began = call.Time.GetUtcNow();
        await call.AnswerTheCallAsync();
        await call.UntilAsync(() => call.Room.Spoken.Length == 2, "the goodbye");
        Assert.That((call.Time.GetUtcNow() - began).TotalSeconds, Is.EqualTo(5).Within(0.5));
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.AgentFailed));
        Assert.That((call.Time.GetUtcNow() - began).TotalSeconds, Is.LessThan(15));
        Assert.That((await call.TranscriptAsync())[^1], Does.EndWith("Goodbye."));
        Assert.That(call.Notes.Select(n => n.Kind), Is.EqualTo(["credits.unknown"]));
    }

    [Test]
    public async Task While_the_books_answer_it_goes_on_and_when_they_are_away_it_ends_within_what_they_last_said()
    {
        await using var call = new ScriptedCall(Talkative, covered: TimeSpan.FromSeconds(16));
        using var stop = new CancellationTokenSource();
        DateTimeOffset toldAt = default;
        call.Answer = () =>
        {
            toldAt = call.Time.GetUtcNow();
            return new ReportAnswer(Continuation.GoOn, TimeSpan.FromSeconds(16));
        };
        var reporting = call.Reporter.RunAsync(stop.Token);
        await call.AnswerTheCallAsync();
        await call.PassAsync(20);
        Assert.That(call.Running.IsCompleted, Is.False, "It is paid for.");

        call.Answer = () => throw new TimeoutException();
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");
        Assert.That(await call.Running, Is.EqualTo(EndReasons.AgentFailed));
        Assert.That((call.Time.GetUtcNow() - toldAt).TotalSeconds, Is.InRange(6, 16));
        Assert.That(call.Room.Spoken[^1], Does.EndWith("Goodbye."));

        await stop.CancelAsync();
        await reporting;
    }

    [Test]
    public async Task What_is_paid_for_to_its_end_ends_by_its_own_limit()
    {
        await using var call = new ScriptedCall(Talkative, TimeSpan.FromSeconds(12), covered: TimeSpan.FromSeconds(15));
        await call.AnswerTheCallAsync();
        await call.PostAsync(new ConversationEvent.Reported(Continuation.GoOn));
        await call.PostAsync(new ConversationEvent.Reported(Continuation.GoOn, call.Time.GetUtcNow().AddSeconds(11)));
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.MaxDuration));
    }

    [Test]
    public async Task The_longest_duration_ends_it_even_in_the_middle_of_an_answer()
    {
        await using var call = new ScriptedCall(maxDuration: TimeSpan.FromSeconds(5));
        call.Mind.Answer = (_, _) => ScriptedMind.Texts([.. Enumerable.Repeat("On and on and on it goes for ever and ever. ", 20)]);
        await call.AnswerTheCallAsync();
        await call.SayAsync("talk to me");
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.MaxDuration));
        Assert.That((await call.TranscriptAsync())[^1], Does.EndWith("Goodbye."));
    }

    [Test]
    public async Task A_silent_caller_is_asked_and_then_left()
    {
        await using var call = new ScriptedCall(Assistant with { Limits = new Limits { IdleRepromptS = 3, IdleMaxReprompts = 2 } });
        await call.AnswerTheCallAsync();
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.Idle));
        Assert.That(call.Room.Spoken.Count(s => s == "Are you still there?"), Is.EqualTo(2));
        Assert.That((await call.TurnsAsync()).Keys, Is.EqualTo([0]), "Asking back is no turn to be measured.");
    }

    [Test]
    public async Task A_caller_who_leaves_in_the_middle_of_an_answer_ends_it_at_once()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        await call.SayAsync("one two three four five six seven eight nine ten");
        await call.UntilAsync(() => call.Room.State == "speaking", "an answer");
        await call.PostAsync(new ConversationEvent.CallerLeft());

        Assert.That(await call.Running.WaitAsync(TimeSpan.FromSeconds(5)), Is.EqualTo(EndReasons.CallerLeft));
        Assert.That((await call.TranscriptAsync())[^1], Does.EndWith("*"));
        Assert.DoesNotThrowAsync(async () => await call.Conversation.PostAsync(new ConversationEvent.Woke(), default), "Nobody needs to know any more.");
    }

    [Test]
    public async Task Who_was_waited_for_in_vain_left_when_he_left()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        var leftAt = call.Time.GetUtcNow();
        await call.PassAsync(5);
        await call.PostAsync(new ConversationEvent.CallerLeft(At: leftAt));

        Assert.That(await call.Running, Is.EqualTo(EndReasons.CallerLeft));
        Assert.That(call.Reporter.EndedAt, Is.EqualTo(leftAt));
    }

    [Test]
    public async Task The_last_words_are_kept_even_when_nobody_answers_them_any_more()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        await call.SayAsync("I will call again because");
        await call.PostAsync(new ConversationEvent.CallerLeft());

        Assert.That(await call.Running, Is.EqualTo(EndReasons.CallerLeft));
        Assert.That((await call.TranscriptAsync())[^1], Is.EqualTo("U1: I will call again because"));
    }

    [Test]
    public async Task Who_speaks_before_being_heard_to_arrive_is_answered_and_not_greeted_over()
    {
        await using var call = new ScriptedCall();
        await call.SayAsync("hello there");
        await call.PassAsync(0.6);
        await call.PostAsync(new ConversationEvent.Heard(new Transcription.Final(2, "", TimeSpan.Zero)));
        await call.UntilAsync(() => call.Room.Spoken.Length == 1, "the answer");
        await call.PostAsync(new ConversationEvent.CallerReady());
        await call.PassAsync(1);

        Assert.That(call.Room.Spoken, Is.EqualTo(["You said: hello there."]));
    }

    [Test]
    public async Task A_caller_who_never_comes_was_never_there()
    {
        await using var call = new ScriptedCall();
        await call.PostAsync(new ConversationEvent.CallerLeft());

        Assert.That(await call.Running, Is.EqualTo(EndReasons.NeverStarted));
    }

    [Test]
    public async Task An_end_from_outside_is_taken_at_once()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        await call.PostAsync(new ConversationEvent.Reported(Continuation.Ended));

        Assert.That(await call.Running, Is.EqualTo(EndReasons.Requested));
    }

    [Test]
    public async Task What_is_written_is_answered_aloud_even_into_a_running_answer()
    {
        await using var call = new ScriptedCall();
        await call.AnswerTheCallAsync();
        await call.SayAsync("one two three four five six seven eight nine ten");
        await call.UntilAsync(() => call.Room.State == "speaking", "an answer");
        await call.PassAsync(1);
        await call.PostAsync(new ConversationEvent.Wrote("please be brief"));
        await call.UntilAsync(() => call.Room.Spoken[^1] == "You said: please be brief." && call.Room.State == "listening", "the answer");

        Assert.That((await call.TranscriptAsync())[^3..], Is.EqualTo(["A1: You said: one two*", "U2: please be brief", "A2: You said: please be brief."]).Using<string>(SameStart));
    }

    [Test]
    public async Task Who_writes_before_being_heard_to_arrive_is_not_greeted_over()
    {
        await using var call = new ScriptedCall();
        await call.PostAsync(new ConversationEvent.Wrote("hi"));
        await call.PostAsync(new ConversationEvent.CallerReady());
        await call.UntilAsync(() => call.Room.Spoken.Length == 1 && call.Room.State == "listening", "the answer");

        Assert.That(call.Room.Spoken, Is.EqualTo(["You said: hi."]));
    }

    [Test]
    public async Task The_assistant_may_end_the_conversation()
    {
        await using var call = new ScriptedCall();
        call.Mind.Answer = (_, _) => EndsAsync();
        await call.AnswerTheCallAsync();
        await call.SayAsync("goodbye");
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.AssistantEnded));
        Assert.That((await call.TranscriptAsync())[^1], Is.EqualTo("A1: See you."));

        static async IAsyncEnumerable<Generated> EndsAsync()
        {
            await Task.Yield();
            yield return new Generated.Text("See you.");
            yield return new Generated.EndConversation();
        }
    }

    [Test]
    public async Task A_speculative_answer_is_begun_before_the_turn_is_over_and_asked_for_once()
    {
        await using var call = new ScriptedCall(Assistant with { Turn = new TurnSettings { Preemptive = true, MinEndpointingS = 2 } });
        await call.AnswerTheCallAsync();
        await call.SayAsync("opening hours");
        await call.PassAsync(0.3);
        Assert.That(call.Mind.Asked, Has.Count.EqualTo(1), "It waits for the end of the turn.");
        Assert.That(call.Room.State, Is.EqualTo("listening"), "Nobody hears of it.");
        await call.UntilAsync(() => call.Room.Spoken.Length == 2 && call.Room.State == "listening", "the answer");

        Assert.That(call.Mind.Asked, Has.Count.EqualTo(1));
        Assert.That(call.Room.Spoken[1], Is.EqualTo("You said: opening hours."));
    }

    [Test]
    public async Task A_speculative_answer_is_discarded_when_more_is_said_and_its_cost_is_noted_apart()
    {
        await using var call = new ScriptedCall(Assistant with { Turn = new TurnSettings { Preemptive = true, MinEndpointingS = 2 } });
        call.Mind.Answer = (prompt, _) => WithUsageAsync($"You said: {prompt.Text}.");
        await call.AnswerTheCallAsync();
        await call.SayAsync("opening hours");
        await call.PassAsync(0.3);
        await call.SayAsync("on sunday");
        await call.UntilAsync(() => call.Room.Spoken.Length == 2 && call.Room.State == "listening", "the answer");

        Assert.That(call.Room.Spoken[1], Is.EqualTo("You said: opening hours on sunday."));
        await call.TranscriptAsync();
        Assert.That(call.Notes.Single().Kind, Is.EqualTo("speculation.discarded"));
        Assert.That(call.Notes.Single().Detail, Does.Contain("llm_output: 7 tokens"));
        Assert.That(
            call.Usage.Values.Where(u => u.Component == "llm_output").Select(u => (u.Turn, u.Discarded, u.Quantity)), Is.EquivalentTo(new[] { (1, true, 7L), (1, false, 7L) }));

        static async IAsyncEnumerable<Generated> WithUsageAsync(string text)
        {
            await Task.Yield();
            yield return new Generated.Text(text);
            yield return new Generated.Used(new UsageTotal("llm_output", "test", "mind", "token", 7));
        }
    }

    [Test]
    public async Task Two_conversations_at_once_do_not_share_a_fault()
    {
        await using var broken = new ScriptedCall();
        await using var sound = new ScriptedCall();
        broken.Voice.Fails = _ => new InvalidOperationException("a bug");
        await broken.PostAsync(new ConversationEvent.CallerReady());
        await sound.AnswerTheCallAsync();
        await broken.UntilAsync(() => broken.Running.IsCompleted, "its end");
        await sound.SayAsync("still there");
        await sound.UntilAsync(() => sound.Room.Spoken.Length == 2 && sound.Room.State == "listening", "an answer");

        Assert.That(sound.Room.Spoken[1], Is.EqualTo("You said: still there."));
    }

    [Test]
    public async Task Posting_to_a_full_mailbox_waits_and_loses_nothing()
    {
        await using var call = new ScriptedCall();
        for (var i = 0; i < 2000; i++)
        {
            await call.PostAsync(new ConversationEvent.Woke());
        }

        await call.PostAsync(new ConversationEvent.Stop(EndReasons.Shutdown));
        Assert.That(await call.Running, Is.EqualTo(EndReasons.Shutdown));
    }

    private static bool SameStart(string a, string b) => a == b || (a[..3] == b[..3] && a.EndsWith('*') && b.EndsWith('*'));
}
