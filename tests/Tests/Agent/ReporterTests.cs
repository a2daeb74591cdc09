using VoicePlatform.Agent.Pipeline;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.SharedKernel;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.Agent;

internal sealed class ReporterTests
{
    private static readonly ReportAnswer GoOn = new(Continuation.GoOn);

    private readonly ManualTime _time = new();
    private readonly List<ReportProgress> _told = [];
    private readonly List<ConversationEvent.Reported> _answers = [];
    private readonly Reporter _reporter;
    private Func<Result<ReportAnswer>> _answer = () => GoOn;
    private int _failed;

    public ReporterTests() => _reporter = new Reporter("session", SendAsync, _time, _answers.Add, _ => _failed++);

    [TearDown]
    public void Dispose() => _reporter.Dispose();

    [Test]
    public async Task What_was_told_is_not_told_again()
    {
        _reporter.Line(Line(1, "hello"));
        _reporter.Note("kind", "detail");
        _reporter.Turn(new TurnTiming(1, 500, null, null, null, null, Interrupted: false));
        Assert.That(await _reporter.FlushAsync(default), Is.EqualTo(Told.Yes));
        await _reporter.FlushAsync(default);

        Assert.That((_told[0].Lines.Count, _told[0].Notes.Count, _told[0].Turns.Count), Is.EqualTo((1, 1, 1)));
        Assert.That((_told[1].Lines.Count, _told[1].Notes.Count, _told[1].Turns.Count), Is.EqualTo((0, 0, 0)));
        Assert.That(_answers, Is.EqualTo([new ConversationEvent.Reported(Continuation.GoOn), new ConversationEvent.Reported(Continuation.GoOn)]));
    }

    [Test]
    public async Task What_could_not_be_told_is_told_later_in_its_latest_form_and_in_order()
    {
        _answer = () => throw new TimeoutException();
        _reporter.Line(Line(2, "second"));
        _reporter.Line(Line(1, "first"));
        Assert.That(await _reporter.FlushAsync(default), Is.EqualTo(Told.NotYet));
        _reporter.Line(Line(2, "second, corrected"));
        _answer = () => GoOn;
        await _reporter.FlushAsync(default);

        Assert.That(_told[^1].Lines.Select(l => l.Text), Is.EqualTo(["first", "second, corrected"]));
        Assert.That(_failed, Is.EqualTo(1));
    }

    [Test]
    public async Task What_changes_while_it_is_being_told_is_told_again()
    {
        _reporter.Line(Line(1, "a"));
        _answer = () =>
        {
            _reporter.Line(Line(1, "a b"));
            return GoOn;
        };
        await _reporter.FlushAsync(default);
        _answer = () => GoOn;
        await _reporter.FlushAsync(default);

        Assert.That(_told[^1].Lines.Single().Text, Is.EqualTo("a b"));
    }

    [Test]
    public async Task Usage_is_a_running_total_that_is_told_every_time()
    {
        _reporter.Usage(new UsageTotal("text_to_speech", "p", "m", "character", 3));
        _reporter.Usage(new UsageTotal("text_to_speech", "p", "m", "character", 8));
        await _reporter.FlushAsync(default);
        await _reporter.FlushAsync(default);

        Assert.That(_told.Select(t => t.Usage.Single().Quantity), Is.EqualTo([8, 8]));
    }

    [Test]
    public async Task However_long_nothing_can_be_told_notes_stay_bounded_and_the_loss_is_counted()
    {
        _answer = () => throw new TimeoutException();
        for (var i = 0; i < 5000; i++)
        {
            _reporter.Note("provider.failed", $"{i}");
        }

        await _reporter.FlushAsync(default);
        _answer = () => GoOn;
        await _reporter.FlushAsync(default);

        Assert.That(_told[^1].Notes, Has.Count.EqualTo(200));
        Assert.That(_told[^1].Notes[^1].Detail, Is.EqualTo("4801 notes were not kept."));
        await _reporter.FlushAsync(default);
        Assert.That(_told[^1].Notes, Is.Empty);
    }

    [Test]
    public async Task A_refusal_is_not_repeated_and_an_unavailable_database_is_asked_again()
    {
        _answer = () => new Error(ErrorKind.NotFound, "session.not_found", "No such session.");
        Assert.That(await _reporter.FlushAsync(default), Is.EqualTo(Told.Refused));

        _answer = () => new Error(ErrorKind.Unavailable, "x", "y");
        Assert.That(await _reporter.FlushAsync(default), Is.EqualTo(Told.NotYet));
    }

    [Test]
    public async Task At_the_end_it_tries_again_until_it_is_told()
    {
        var tries = 0;
        _answer = () => ++tries < 4 ? throw new TimeoutException() : GoOn;
        _reporter.Line(Line(1, "the last words"));

        Assert.That(await RunAsync(_reporter.CloseAsync(TimeSpan.FromMinutes(1))));
        Assert.That((tries, _told[^1].Lines.Single().Text), Is.EqualTo((4, "the last words")));
    }

    [Test]
    public async Task What_is_paid_for_counts_from_when_the_report_was_sent()
    {
        var sentAt = _time.GetUtcNow();
        _answer = () =>
        {
            _time.Advance(TimeSpan.FromSeconds(3));
            return new ReportAnswer(Continuation.GoOn, TimeSpan.FromSeconds(40));
        };
        await _reporter.FlushAsync(default);

        Assert.That(_answers, Is.EqualTo([new ConversationEvent.Reported(Continuation.GoOn, sentAt.AddSeconds(40))]));
    }

    [Test]
    public async Task What_is_told_late_is_of_the_time_when_the_conversation_was_over()
    {
        await _reporter.FlushAsync(default);
        Assert.That(_told[^1].At, Is.EqualTo(_time.GetUtcNow()));

        var tries = 0;
        _answer = () => ++tries < 4 ? throw new TimeoutException() : GoOn;
        var endedAt = _time.GetUtcNow();
        _reporter.Ended(endedAt);
        await RunAsync(_reporter.CloseAsync(TimeSpan.FromMinutes(1)));

        Assert.That(_time.GetUtcNow(), Is.GreaterThan(endedAt));
        Assert.That((_reporter.EndedAt, _told[^1].At), Is.EqualTo(((DateTimeOffset?)endedAt, (DateTimeOffset?)endedAt)));
    }

    [Test]
    public async Task At_the_end_it_gives_up_after_its_patience()
    {
        _answer = () => throw new TimeoutException();
        var began = _time.GetUtcNow();

        Assert.That(await RunAsync(_reporter.CloseAsync(TimeSpan.FromSeconds(30))), Is.False);
        Assert.That((_time.GetUtcNow() - began).TotalSeconds, Is.LessThan(60));
    }

    [Test]
    public async Task A_database_that_does_not_answer_is_not_asked_more_often_because_people_speak()
    {
        using var stop = new CancellationTokenSource();
        _answer = () => throw new TimeoutException();
        var running = _reporter.RunAsync(stop.Token);
        for (var i = 0; i < 100; i++)
        {
            _reporter.Line(Line(i, "x"));
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
            _time.Advance(TimeSpan.FromMilliseconds(200));
        }

        await stop.CancelAsync();
        await running;
        Assert.That(_told, Has.Count.InRange(2, 6), "20 seconds");
    }

    private async Task<bool> RunAsync(Task<bool> task)
    {
        while (!task.IsCompleted)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
            _time.Advance(TimeSpan.FromMilliseconds(100));
        }

        return await task;
    }

    private Task<Result<ReportAnswer>> SendAsync(ReportProgress report, CancellationToken ct)
    {
        _told.Add(report);
        return Task.FromResult(_answer());
    }

    private SpokenLine Line(int seq, string text) => new(seq, 1, Speaker.User, text, _time.GetUtcNow(), _time.GetUtcNow(), Interrupted: false);
}
