using VoicePlatform.Agent.Pipeline;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Tests.Agent;

/// <summary>What is different on the telephone: machines, waiting, keys, phrases that end the call.</summary>
internal sealed class PhoneConversationTests
{
    private const string Machine = "you have reached john please leave a message after the tone";

    private static readonly AssistantDocument Assistant = new() { Name = "Test", Greeting = new Greeting { Text = "Hello and welcome." } };

    [Test]
    public async Task A_machine_is_left_alone_when_that_is_asked_for()
    {
        await using var call = new ScriptedCall(phone: Outbound(VoicemailAction.HangUp));
        await call.PostAsync(new ConversationEvent.CallerReady());
        await call.UntilAsync(() => call.Room.State == "speaking", "the greeting, which waits for nothing");
        await call.SayAsync(Machine, seconds: 3);
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.Voicemail));
        Assert.That(await call.TranscriptAsync(), Does.Contain($"U1: {Machine}"));
    }

    [Test]
    public async Task A_caller_is_handed_over_when_he_has_been_told()
    {
        await using var call = new ScriptedCall(phone: Outbound(VoicemailAction.None));
        await call.AnswerTheCallAsync();
        call.Mind.Answer = (_, _) => Transferring("I am transferring you now.", "+15550100");
        await call.SayAsync("a person please");
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.Transferred));
        Assert.That(call.Room.Transfers, Is.EqualTo(["+15550100"]));
        Assert.That((await call.TranscriptAsync())[^1], Does.EndWith("I am transferring you now."), "All of it was heard before.");
    }

    [Test]
    public async Task A_transfer_that_does_not_come_about_is_told_and_the_call_goes_on()
    {
        await using var call = new ScriptedCall(phone: Outbound(VoicemailAction.None));
        call.Room.TransferFailure = "486 Busy Here";
        await call.AnswerTheCallAsync();
        call.Mind.Answer = (_, _) => Transferring("I am transferring you now.", "+15550100");
        await call.SayAsync("a person please");
        await call.UntilAsync(() => call.Room.Spoken.Any(s => s.Contains("could not transfer", StringComparison.Ordinal)), "the apology");

        Assert.That(call.Running.IsCompleted, Is.False);
        await call.Reporter.CloseAsync(TimeSpan.FromSeconds(1));
        Assert.That(call.Notes.Select(n => n.Detail), Has.Some.Contains("486 Busy Here"));
    }

    [Test]
    public async Task Who_thanks_for_the_transfer_is_transferred()
    {
        await using var call = await TransferringAsync(new(), "I am transferring you to one of my colleagues now.");
        await call.SayAsync("thank you very much", seconds: 1);
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.Transferred));
        Assert.That(await call.TranscriptAsync(), Is.SupersetOf(new[] { "A1: I am transferring you to one of my colleagues now.", "U2: thank you very much" }));
        Assert.That(call.Mind.Asked, Has.Count.EqualTo(1), "It is kept, and not answered.");
    }

    [Test]
    public async Task What_cuts_the_announcement_does_not_cancel_the_transfer()
    {
        await using var call = await TransferringAsync(new() { Transfer = new() });
        await call.PostAsync(new ConversationEvent.Say("One moment."));
        await call.UntilAsync(() => call.Room.Transfers.Count == 1, "the transfer");
        call.Room.Transfer!.SetResult(null);
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.Transferred));
    }

    [Test]
    public async Task While_it_rings_elsewhere_nobody_is_asked_whether_they_are_there()
    {
        await using var call = await TransferringAsync(new() { Transfer = new() }, assistant: Assistant with { Limits = new Limits { IdleRepromptS = 3 } });
        await call.UntilAsync(() => call.Room.Transfers.Count == 1, "the transfer");
        await call.PassAsync(20);
        Assert.That(call.Room.Spoken, Has.Length.EqualTo(2));

        call.Room.Transfer!.SetResult("486 Busy Here");
        await call.UntilAsync(() => call.Room.Spoken.Contains("I am sorry, I could not transfer you."), "the apology");
        await call.UntilAsync(() => call.Room.Spoken.Contains("Are you still there?"), "the call, which goes on");
    }

    [TestCase("", EndReasons.Transferred)]
    [TestCase("487 Request Terminated", EndReasons.CallerLeft)]
    [TestCase(null, EndReasons.CallerLeft, Description = "nobody tells")]
    public async Task An_exchange_that_hangs_up_before_it_tells_of_the_transfer_is_waited_for(string? outcome, string reason)
    {
        await using var call = await TransferringAsync(new() { Transfer = new() });
        await call.UntilAsync(() => call.Room.Transfers.Count == 1, "the transfer");
        await call.PostAsync(new ConversationEvent.CallerLeft());
        var left = call.Time.GetUtcNow();
        await call.PassAsync(1);
        Assert.That(call.Running.IsCompleted, Is.False);
        if (outcome is not null)
        {
            call.Room.Transfer!.SetResult(outcome.Length > 0 ? outcome : null);
        }

        await call.UntilAsync(() => call.Running.IsCompleted, "the end");
        Assert.That(await call.Running, Is.EqualTo(reason));
        Assert.That((call.Time.GetUtcNow() - left).TotalSeconds, Is.LessThan(12));
        call.Room.Transfer!.TrySetResult(null);
    }

    [Test]
    public async Task A_transfer_is_not_lost_to_an_end_that_is_asked_for_with_it_nor_a_goodbye_to_its_failure()
    {
        await using var both = await TransferringAsync(new(), andEnd: true);
        await both.UntilAsync(() => both.Running.IsCompleted, "the end");
        Assert.That(await both.Running, Is.EqualTo(EndReasons.Transferred));

        await using var call = await TransferringAsync(new() { Transfer = new() });
        await call.UntilAsync(() => call.Room.Transfers.Count == 1, "the transfer");
        await call.PostAsync(new ConversationEvent.Reported(Continuation.OutOfCredits));
        await call.UntilAsync(() => call.Room.State == "speaking", "the goodbye");
        call.Room.Transfer!.SetResult("486 Busy Here");
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");
        Assert.That(await call.Running, Is.EqualTo(EndReasons.OutOfCredits));
        Assert.That((await call.TranscriptAsync())[^1], Does.EndWith("Goodbye."));
    }

    [Test]
    public async Task A_goodbye_to_a_machine_is_not_cut_by_its_beep()
    {
        await using var call = new ScriptedCall(phone: Outbound(VoicemailAction.LeaveMessage));
        await call.PostAsync(new ConversationEvent.CallerReady());
        await call.SayAsync(Machine, seconds: 3);
        await call.PostAsync(new ConversationEvent.Reported(Continuation.OutOfCredits));
        await call.UntilAsync(() => call.Room.State == "speaking", "the goodbye");
        await call.PostAsync(new ConversationEvent.Beeped());
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.OutOfCredits));
        Assert.That(call.Room.Spoken, Has.None.EqualTo("Please call us back."));
    }

    /// <summary>A call whose caller is being told that he is transferred.</summary>
    private static async Task<ScriptedCall> TransferringAsync(FakeRoom room, string text = "I am transferring you now.", bool andEnd = false, AssistantDocument? assistant = null)
    {
        var call = new ScriptedCall(assistant ?? Assistant, phone: Outbound(VoicemailAction.None), room: room);
        await call.AnswerTheCallAsync();
        call.Mind.Answer = (_, _) => Transferring(text, "+15550100", andEnd);
        await call.SayAsync("a person please");
        await call.UntilAsync(() => call.Room.State == "speaking", "the announcement");
        return call;
    }

    private static async IAsyncEnumerable<VoicePlatform.Agent.Language.Generated> Transferring(string text, string to, bool andEnd = false)
    {
        await Task.CompletedTask;
        yield return new VoicePlatform.Agent.Language.Generated.Text(text);
        yield return new VoicePlatform.Agent.Language.Generated.Transfer(to);
        if (andEnd)
        {
            yield return new VoicePlatform.Agent.Language.Generated.EndConversation();
        }
    }

    [Test]
    public async Task A_message_is_left_after_the_beep()
    {
        await using var call = new ScriptedCall(phone: Outbound(VoicemailAction.LeaveMessage));
        await call.PostAsync(new ConversationEvent.CallerReady());
        await call.SayAsync(Machine, seconds: 3);
        await call.PassAsync(0.3);
        Assert.That(call.Room.Spoken, Has.None.EqualTo("Please call us back."), "Nobody would hear it before the beep.");
        await call.PostAsync(new ConversationEvent.Beeped());
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.Voicemail));
        Assert.That((await call.TranscriptAsync())[^1], Is.EqualTo("A1: Please call us back."));
    }

    [Test]
    public async Task A_beep_is_no_words_whatever_the_recogniser_takes_it_for_and_who_comes_to_the_phone_is_kept()
    {
        await using var call = new ScriptedCall(phone: Outbound(VoicemailAction.LeaveMessage));
        await call.PostAsync(new ConversationEvent.CallerReady());
        await call.SayAsync(Machine, seconds: 3);
        await call.PassAsync(0.5);
        await call.StartSpeakingAsync();
        await call.PassAsync(0.6);
        await call.PostAsync(new ConversationEvent.Beeped());
        await call.PassAsync(0.3);
        await call.StopSpeakingAsync("ah");
        await call.SayAsync("hello who is there", seconds: 0.2);
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That((await call.TranscriptAsync()).Select(l => l[(l.IndexOf(' ') + 1)..]), Is.SupersetOf(new[] { "hello who is there", "Please call us back." }).And.None.Contains("ah"));
    }

    [Test]
    public async Task A_machine_that_is_understood_late_does_not_cut_the_message()
    {
        await using var call = new ScriptedCall(phone: Outbound(VoicemailAction.LeaveMessage));
        await call.PostAsync(new ConversationEvent.CallerReady());
        await call.SayAsync(Machine, seconds: 3);
        await call.StartSpeakingAsync();
        await call.PassAsync(2);
        await call.PostAsync(new ConversationEvent.Beeped());
        await call.UntilAsync(() => call.Room.State == "speaking", "the message");
        await call.StopSpeakingAsync(Machine);
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That((await call.TranscriptAsync()).Where(l => l.Contains("call us", StringComparison.Ordinal)), Is.EqualTo(["A1: Please call us back."]), "Once, and to its end.");
        Assert.That(call.Notes.Select(n => n.Kind), Has.One.EqualTo("voicemail.detected"));
    }

    [Test]
    public async Task Without_a_beep_the_message_follows_the_silence_and_is_not_interrupted_by_noise()
    {
        await using var call = new ScriptedCall(phone: Outbound(VoicemailAction.LeaveMessage));
        await call.PostAsync(new ConversationEvent.CallerReady());
        await call.SayAsync(Machine, seconds: 3);
        var since = call.Time.GetUtcNow();
        await call.UntilAsync(() => call.Room.Spoken.Contains("Please call us back."), "the message");
        Assert.That((call.Time.GetUtcNow() - since).TotalSeconds, Is.EqualTo(2.5).Within(0.3));
        await call.SayAsync("some noise", seconds: 1);
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.TranscriptAsync(), Does.Contain("A1: Please call us back."), "It was heard to its end.");
    }

    [Test]
    public async Task A_person_who_speaks_of_a_mailbox_later_is_a_person()
    {
        await using var call = new ScriptedCall(phone: Outbound(VoicemailAction.HangUp));
        await call.AnswerTheCallAsync();
        await call.PassAsync(10);
        await call.SayAsync("yes this is john");
        await call.PassAsync(25);
        await call.SayAsync("just put it into my mailbox");
        await call.UntilAsync(() => call.Mind.Asked.Count == 2, "an answer to both");

        Assert.That(call.Running.IsCompleted, Is.False);
    }

    [Test]
    public async Task Nobody_looks_for_machines_on_calls_that_come_in()
    {
        await using var call = new ScriptedCall(phone: Outbound(VoicemailAction.HangUp) with { Direction = CallDirection.Inbound });
        await call.AnswerTheCallAsync();
        await call.SayAsync(Machine);
        await call.UntilAsync(() => call.Mind.Asked.Count == 1, "an answer");
    }

    [Test]
    public async Task A_phrase_of_the_assistants_ends_the_call()
    {
        await using var call = new ScriptedCall(Assistant with { EndCallPhrases = ["good bye"] }, phone: Outbound());
        await call.AnswerTheCallAsync();
        await call.SayAsync("goodbyes are hard");
        await call.UntilAsync(() => call.Mind.Asked.Count == 1 && call.Room.State == "listening", "an answer: that was not the phrase");
        await call.SayAsync("thank you, good bye!");
        await call.UntilAsync(() => call.Running.IsCompleted, "the end");

        Assert.That(await call.Running, Is.EqualTo(EndReasons.AssistantEnded));
        Assert.That((await call.TranscriptAsync())[^2..], Is.EqualTo(["U2: thank you, good bye!", "A2: Goodbye."]));
    }

    [Test]
    public async Task Who_asks_to_wait_is_given_time()
    {
        await using var call = new ScriptedCall(phone: Outbound());
        await call.AnswerTheCallAsync();
        await call.SayAsync("hold on one moment please");
        await call.UntilAsync(() => call.Room.Spoken.Contains("Of course, I will wait."), "a word");
        await call.PassAsync(50);
        Assert.That(call.Room.Spoken, Has.None.EqualTo("Are you still there?"));
        await call.SayAsync("i am back");
        await call.UntilAsync(() => call.Mind.Asked.Count == 1, "an answer");
    }

    [Test]
    public async Task A_queue_is_not_talked_to()
    {
        await using var call = new ScriptedCall(phone: Outbound());
        await call.AnswerTheCallAsync();
        var spoken = call.Room.Spoken.Length;
        await call.SayAsync("all of our agents are busy your call is important to us");
        await call.PassAsync(20);

        Assert.That(call.Room.Spoken, Has.Length.EqualTo(spoken));
        Assert.That(call.Mind.Asked, Is.Empty);
    }

    [Test]
    public async Task On_hold_nobody_is_asked_whether_they_are_there()
    {
        await using var call = new ScriptedCall(phone: Outbound());
        await call.AnswerTheCallAsync();
        await call.PostAsync(new ConversationEvent.Held(true));
        await call.PassAsync(50);
        Assert.That(call.Room.Spoken, Has.None.EqualTo("Are you still there?"));
        await call.PostAsync(new ConversationEvent.Held(false));
        await call.UntilAsync(() => call.Room.Spoken.Contains("Are you still there?"), "the question, when somebody could hear it");
    }

    [Test]
    public async Task Keys_are_an_answer()
    {
        await using var call = new ScriptedCall(phone: Outbound());
        await call.AnswerTheCallAsync();
        foreach (var key in "42#")
        {
            await call.PostAsync(new ConversationEvent.Pressed(key));
        }

        await call.UntilAsync(() => call.Mind.Asked.Count == 1 && call.Room.State == "listening", "an answer");
        await call.PostAsync(new ConversationEvent.Pressed('1'));
        await call.UntilAsync(() => call.Mind.Asked.Count == 2, "an answer without '#'");

        Assert.That(call.Mind.Asked.Select(asked => asked.Text), Is.EqualTo(["42", "1"]));
    }

    [Test]
    public async Task Somebody_outside_can_have_the_assistant_say_something()
    {
        await using var call = new ScriptedCall(phone: Outbound());
        await call.AnswerTheCallAsync();
        await call.PostAsync(new ConversationEvent.Say("A colleague will join us."));
        await call.UntilAsync(() => call.Room.Spoken.Contains("A colleague will join us.") && call.Room.State == "listening", "it");

        Assert.That((await call.TranscriptAsync())[^1], Is.EqualTo("A0: A colleague will join us."));
    }

    private static PhoneCall Outbound(VoicemailAction action = VoicemailAction.None) =>
        new("call", CallDirection.Outbound, "+15550100", "+15550177", new VoicemailSettings(action, "Please call us back."));
}
