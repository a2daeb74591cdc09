using VoicePlatform.Agent.Turns;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Tests.Agent;

/// <summary>Who speaks, on a time line in milliseconds.</summary>
internal sealed class TurnMachineTests
{
    private static readonly DateTimeOffset Zero = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private TurnMachine _turns = new(new TurnSettings(), new InterruptionSettings());

    [TestCase("What are your opening hours?", 500)]
    [TestCase("i would like a table for two", 500)]
    [TestCase("i would like a table for", 3000)]
    [TestCase("well, um", 3000)]
    [TestCase("first,", 3000)]
    public void A_turn_ends_sooner_when_the_sentence_looks_finished(string said, int expected)
    {
        Hear(0, 1000, said, 1100);

        Assert.That(_turns.OnTime(Ms(1000 + expected - 1), agentSpeaks: false), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.WakeAt(agentSpeaks: false), Is.EqualTo(Ms(1000 + expected)));
        Assert.That(_turns.OnTime(Ms(1000 + expected), agentSpeaks: false), Is.EqualTo(TurnSignal.EndOfTurn));
        Assert.That(_turns.TakeTurn(), Is.EqualTo(said));
        Assert.That(_turns.WakeAt(agentSpeaks: false), Is.Null);
    }

    [Test]
    public void A_turn_does_not_end_while_its_last_words_are_not_known()
    {
        Hear(0, 1000, "hello", 1200);
        _turns.OnStarted(Ms(1300));
        _turns.OnStopped(Ms(1800));

        Assert.That(_turns.OnTime(Ms(4000), agentSpeaks: false), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.OnFinal("there", Ms(4100), agentSpeaks: false), Is.EqualTo(TurnSignal.EndOfTurn));
        Assert.That(_turns.TakeTurn(), Is.EqualTo("hello there"));
    }

    [Test]
    public void A_recogniser_that_is_silent_for_too_long_is_not_waited_for()
    {
        Hear(0, 1000, "hello", 1200);
        _turns.OnStarted(Ms(1300));
        _turns.OnStopped(Ms(1800));

        Assert.That(_turns.OnTime(Ms(9800), agentSpeaks: false), Is.EqualTo(TurnSignal.EndOfTurn));
        Assert.That(_turns.TakeTurn(), Is.EqualTo("hello"));
    }

    [Test]
    public void A_recogniser_that_never_answers_is_noticed_once()
    {
        _turns.OnStarted(Ms(0));
        _turns.OnStopped(Ms(1000));

        Assert.That(_turns.OnTime(Ms(8999), agentSpeaks: false), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.OnTime(Ms(9000), agentSpeaks: false), Is.EqualTo(TurnSignal.Unheard));
        Assert.That(_turns.WakeAt(agentSpeaks: false), Is.Null);
        Assert.That(_turns.OnFinal("late words", Ms(9500), agentSpeaks: false), Is.EqualTo(TurnSignal.EndOfTurn), "Late words are still words.");
    }

    [Test]
    public void Speaking_on_is_one_turn()
    {
        Hear(0, 1000, "i would like", 1100);
        _turns.OnStarted(Ms(1300));
        Assert.That(_turns.OnTime(Ms(5000), agentSpeaks: false), Is.EqualTo(TurnSignal.None));
        _turns.OnStopped(Ms(5100));
        _turns.OnFinal("a pizza", Ms(5200), agentSpeaks: false);

        Assert.That(_turns.OnTime(Ms(5600), agentSpeaks: false), Is.EqualTo(TurnSignal.EndOfTurn));
        Assert.That((_turns.Text, _turns.TurnSince), Is.EqualTo(("i would like a pizza", (DateTimeOffset?)Ms(0))));
    }

    [Test]
    public void A_long_stretch_of_speech_in_several_segments_is_one_turn()
    {
        _turns.OnStarted(Ms(0));
        _turns.OnContinued();
        _turns.OnFinal("the first part", Ms(20_500), agentSpeaks: false);
        _turns.OnStopped(Ms(25_000));

        Assert.That(_turns.OnTime(Ms(26_000), agentSpeaks: false), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.OnFinal("and the second", Ms(26_100), agentSpeaks: false), Is.EqualTo(TurnSignal.EndOfTurn));
        Assert.That(_turns.TakeTurn(), Is.EqualTo("the first part and the second"));
    }

    [Test]
    public void Words_interrupt_the_assistant_after_it_has_fallen_silent()
    {
        _turns.OnStarted(Ms(0));
        Assert.That(_turns.OnTime(Ms(499), agentSpeaks: true), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.OnTime(Ms(500), agentSpeaks: true), Is.EqualTo(TurnSignal.Hush));
        Assert.That(_turns.OnPartial("stop", agentSpeaks: true), Is.EqualTo(TurnSignal.BargeIn));
        _turns.OnStopped(Ms(900));

        Assert.That(_turns.OnFinal("stop it", Ms(1000), agentSpeaks: false), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.OnTime(Ms(1400), agentSpeaks: false), Is.EqualTo(TurnSignal.EndOfTurn));
    }

    [Test]
    public void A_sound_without_words_lets_the_assistant_go_on()
    {
        Hush();
        _turns.OnStopped(Ms(700));
        Assert.That(_turns.OnFinal("", Ms(900), agentSpeaks: true), Is.EqualTo(TurnSignal.None));

        Assert.That(_turns.OnTime(Ms(2699), agentSpeaks: true), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.OnTime(Ms(2700), agentSpeaks: true), Is.EqualTo(TurnSignal.GoOn));
        Assert.That(_turns.OnTime(Ms(9000), agentSpeaks: true), Is.EqualTo(TurnSignal.None));
    }

    [TestCase("yeah")]
    [TestCase("Okay.")]
    [TestCase("uh huh")]
    public void Showing_that_one_listens_does_not_interrupt(string said)
    {
        Hush();
        Assert.That(_turns.OnPartial(said, agentSpeaks: true), Is.EqualTo(TurnSignal.None));
        _turns.OnStopped(Ms(700));

        Assert.That(_turns.OnFinal(said, Ms(900), agentSpeaks: true), Is.EqualTo(TurnSignal.GoOn), "It was words, so there is nothing more to wait for.");
        Assert.That(_turns.Text, Is.Empty);
    }

    [TestCase("no", false)]
    [TestCase("no wait", false)]
    [TestCase("no wait please", true)]
    public void As_many_words_as_asked_for_interrupt(string said, bool interrupts)
    {
        _turns = new TurnMachine(new TurnSettings(), new InterruptionSettings { MinWords = 3 });
        Hush();

        Assert.That(_turns.OnPartial(said, agentSpeaks: true), Is.EqualTo(interrupts ? TurnSignal.BargeIn : TurnSignal.None));
    }

    [Test]
    public void Where_interruption_is_switched_off_the_caller_is_not_heard_until_the_assistant_is_done()
    {
        _turns = new TurnMachine(new TurnSettings(), new InterruptionSettings { Enabled = false });
        _turns.OnStarted(Ms(0));
        Assert.That(_turns.OnTime(Ms(3000), agentSpeaks: true), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.OnPartial("stop it now", agentSpeaks: true), Is.EqualTo(TurnSignal.None));
        _turns.OnStopped(Ms(3000));

        Assert.That(_turns.OnFinal("stop it now", Ms(3200), agentSpeaks: true), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.OnTime(Ms(20_000), agentSpeaks: true), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.Text, Is.Empty);
    }

    [Test]
    public void What_began_while_the_assistant_spoke_and_ended_after_it_is_a_turn()
    {
        _turns = new TurnMachine(new TurnSettings(), new InterruptionSettings { Enabled = false });
        _turns.OnStarted(Ms(0));
        _turns.OnStopped(Ms(1000));

        Assert.That(_turns.OnFinal("thank you", Ms(1600), agentSpeaks: false), Is.EqualTo(TurnSignal.EndOfTurn));
    }

    [Test]
    public void Without_resuming_a_mistake_ends_the_reply()
    {
        _turns = new TurnMachine(new TurnSettings(), new InterruptionSettings { Resume = false });
        Hush();
        _turns.OnStopped(Ms(700));
        _turns.OnFinal("", Ms(900), agentSpeaks: true);

        Assert.That(_turns.OnTime(Ms(2700), agentSpeaks: true), Is.EqualTo(TurnSignal.BargeIn));
    }

    [Test]
    public void A_sound_that_never_ends_does_not_keep_the_assistant_silent_and_words_in_it_still_interrupt()
    {
        Hush();
        Assert.That(_turns.OnTime(Ms(8499), agentSpeaks: true), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.OnTime(Ms(8500), agentSpeaks: true), Is.EqualTo(TurnSignal.GoOn));
        Assert.That(_turns.OnTime(Ms(60_000), agentSpeaks: true), Is.EqualTo(TurnSignal.None), "The same sound is not judged again and again.");

        Assert.That(_turns.OnPartial("excuse me", agentSpeaks: true), Is.EqualTo(TurnSignal.BargeIn));
    }

    [Test]
    public void A_recogniser_that_never_answers_does_not_keep_the_assistant_silent()
    {
        Hush();
        _turns.OnStopped(Ms(1000));

        Assert.That(_turns.OnTime(Ms(8999), agentSpeaks: true), Is.EqualTo(TurnSignal.None));
        Assert.That(_turns.OnTime(Ms(9000), agentSpeaks: true), Is.EqualTo(TurnSignal.GoOn));
    }

    [Test]
    public void When_something_is_due_it_is_decided_in_whatever_order_things_happen()
    {
        // No state may answer None at the time it asked to be woken at: the loop would spin.
        var random = new Random(7);
        for (var run = 0; run < 300; run++)
        {
            _turns = new TurnMachine(new TurnSettings(), new InterruptionSettings { Enabled = run % 5 != 0, MinWords = run % 3, Resume = run % 2 == 0 });
            var now = Ms(0);
            for (var step = 0; step < 60; step++)
            {
                var agent = random.Next(2) == 0;
                now += TimeSpan.FromMilliseconds(random.Next(900));
                var signal = random.Next(7) switch
                {
                    0 => _turns.OnStarted(now),
                    1 => _turns.OnStopped(now - TimeSpan.FromMilliseconds(300)),
                    2 => _turns.OnPartial("some words", agent),
                    3 => _turns.OnFinal("some words", now, agent),
                    4 => _turns.OnFinal("", now, agent),
                    5 => _turns.OnTime(now, agent),
                    _ => TurnSignal.None,
                };
                if (signal is TurnSignal.EndOfTurn)
                {
                    _turns.TakeTurn();
                }

                for (var n = 0; _turns.WakeAt(agent) is { } due && due <= now; n++)
                {
                    Assert.That(n, Is.LessThan(10), "It asks to be woken again and again.");
                    var decided = _turns.OnTime(now, agent);
                    Assert.That(decided, Is.Not.EqualTo(TurnSignal.None));
                    if (decided is TurnSignal.EndOfTurn)
                    {
                        _turns.TakeTurn();
                    }
                }
            }
        }
    }

    private void Hush()
    {
        _turns.OnStarted(Ms(0));
        Assert.That(_turns.OnTime(Ms(500), agentSpeaks: true), Is.EqualTo(TurnSignal.Hush));
    }

    private void Hear(int from, int to, string text, int known)
    {
        _turns.OnStarted(Ms(from));
        _turns.OnStopped(Ms(to));
        _turns.OnFinal(text, Ms(known), agentSpeaks: false);
    }

    private static DateTimeOffset Ms(int milliseconds) => Zero + TimeSpan.FromMilliseconds(milliseconds);
}
