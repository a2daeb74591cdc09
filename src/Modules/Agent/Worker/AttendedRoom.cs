using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Pipeline;
using VoicePlatform.Agent.Providers;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Agent.Tools;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Agent.Worker;

/// <summary>
/// One job: joins the room, puts the conversation together, feeds it what happens in the room, and sees to its end. Its own scope,
/// its own cancellation: what goes wrong here ends this conversation and no other.
/// </summary>
internal sealed partial class AttendedRoom(RtcEngine engine, ProviderCatalog providers, ToolBoxes tools, IServiceScopeFactory scopes, TimeProvider clock, ILoggerFactory logs)
{
    /// <summary>Makes one for a job.</summary>
    public delegate AttendedRoom Factory();

    private static readonly TimeSpan FarewellPatience = TimeSpan.FromSeconds(5);

    // How long a database that is away is waited for at the end, so that nothing that was said is lost; less when the host is stopping.
    private static readonly TimeSpan ClosingPatience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan ShutdownPatience = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan FinishPause = TimeSpan.FromSeconds(2);

    private readonly ILogger _log = logs.CreateLogger<AttendedRoom>();
    private DateTimeOffset? _endedAt;

    public async Task RunAsync(string sessionId, string url, string token, CancellationToken ct)
    {
        using var scope = _log.BeginScope(new Dictionary<string, object> { ["session_id"] = sessionId });
        var reason = EndReasons.AgentFailed;
        try
        {
            var attended = await SendAsync(new AttendSession(sessionId), ct);
            if (!attended.IsOk)
            {
                NotAttended(_log, sessionId, attended.Error.Code);
                return;
            }

            reason = await ConverseAsync(attended.Value, url, token, ct);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            reason = EndReasons.Shutdown;
        }
        catch (Exception e)
        {
            Failed(_log, sessionId, e);
        }

        await FinishAsync(new FinishSession(sessionId, reason) { EndedAt = _endedAt ?? clock.GetUtcNow() }, ct);
    }

    /// <summary>Not cancellable: a conversation that happened is finished. If this fails for too long, the sweeper does it.</summary>
    private async Task FinishAsync(FinishSession finish, CancellationToken ct)
    {
        var sessionId = finish.SessionId;
        var since = clock.GetTimestamp();
        while (true)
        {
            try
            {
                var finished = await SendAsync(finish, CancellationToken.None);
                if (finished.IsOk || finished.Error.Kind is not ErrorKind.Unavailable)
                {
                    if (!finished.IsOk)
                    {
                        NotAttended(_log, sessionId, finished.Error.Code);
                    }

                    return;
                }
            }
            catch (Exception e)
            {
                ReportFailed(_log, sessionId, e);
            }

            if (clock.GetElapsedTime(since) > (ct.IsCancellationRequested ? ShutdownPatience : ClosingPatience))
            {
                NotAttended(_log, sessionId, "not_finished");
                return;
            }

            await Task.Delay(FinishPause, clock, CancellationToken.None);
        }
    }

    private async Task<string> ConverseAsync(ConversationPlan plan, string url, string token, CancellationToken ct)
    {
        Conversation? conversation = null;
        Reporter? notes = null;
        var hands = new RoomHands(plan);
        var secrets = await SecretsAsync(plan, ct);
        using var box = ToolBoxFor(plan, secrets, hands, (kind, detail) => notes?.Note(kind, detail));
        var cast = CastFor(plan, secrets, box, e => conversation?.Post(new ConversationEvent.ProviderGivenUp(e)));
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        _ = box.OpenAsync(over.Token);
        var preparing = PrepareGreetingAsync(plan, ref cast, over.Token);
        await using var room = await engine.ConnectAsync(url, token, new RoomOptions(), ct);
        using var source = engine.CreateAudioSource(TrackOut.Format);
        hands.Join(room);
        var voice = new RoomVoice(room, plan.ParticipantIdentity, to => PhoneTransfer.RunAsync(scopes, plan, to), _log);
        using var reporter = new Reporter(
            plan.SessionId,
            (report, token) => SendAsync(report, token),
            clock,
            answer => conversation?.Post(answer),
            error => ReportFailed(_log, plan.SessionId, error));
        notes = reporter;
        conversation = new Conversation(plan, cast, new TrackOut(source), voice, reporter, clock);
        await using var recogniser = cast.Ears.Open(heard =>
        {
            if (heard is Transcription.Partial partial)
            {
                _ = conversation.TryPost(new ConversationEvent.Heard(partial));
            }
            else
            {
                conversation.Post(new ConversationEvent.Heard(heard));
            }
        });
        reporter.Usage(recogniser.Usage);

        // The track is there before the caller is: the first word of the greeting finds a listener.
        var track = await room.LocalParticipant.PublishAudioAsync(source, new AudioPublishOptions { Name = "agent" }, ct);
        voice.AgentTrackSid = track.Sid;
        RemoteControl.Attach(room, plan, conversation);
        await using var phone = new PhoneReports(plan.SessionId, SendAsync, clock, error => ReportFailed(_log, plan.SessionId, error));
        var showing = voice.RunAsync(over.Token);
        var reporting = reporter.RunAsync(over.Token);
        var watching = new RoomWatch(room, plan, conversation, recogniser, voice, reporter, phone.Tell, clock, _log).RunAsync(over.Token);
        try
        {
            return await conversation.RunAsync(ct);
        }
        finally
        {
            // Not when all of it is told, which may take minutes.
            _endedAt = reporter.EndedAt;
            await FarewellAsync(voice, showing);
            await over.CancelAsync();
            await Task.WhenAll(showing, reporting, watching, preparing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            reporter.Usage(recogniser.Usage);
            if (!await reporter.CloseAsync(ct.IsCancellationRequested ? ShutdownPatience : ClosingPatience))
            {
                NotTold(_log, plan.SessionId);
            }
        }
    }

    /// <summary>What was queued for the room (the last transcript) still goes out, if the room takes it.</summary>
    private async Task FarewellAsync(RoomVoice voice, Task showing)
    {
        voice.Complete();
        await showing.WaitAsync(FarewellPatience, clock, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Who calls somebody has the first words ready when they answer.</summary>
    private static Task PrepareGreetingAsync(ConversationPlan plan, ref Cast cast, CancellationToken ct)
    {
        var greeting = plan.Assistant.Greeting;
        if (plan.Phone is null || !greeting.SpeakFirst || greeting.Text.Length == 0 || greeting.Mode is not Contracts.Assistants.GreetingMode.Verbatim)
        {
            return Task.CompletedTask;
        }

        var splitter = new SentenceSplitter();
        List<string> sentences = [.. splitter.Push(greeting.Text)];
        if (splitter.Flush() is { } last)
        {
            sentences.Add(last);
        }

        var prepared = new PreparedVoice(cast.Voice);
        cast = cast with { Voice = prepared };
        return prepared.PrepareAsync(sentences, ct);
    }

    /// <exception cref="ProviderException">A provider that was there when the session started is gone.</exception>
    private Cast CastFor(ConversationPlan plan, IReadOnlyDictionary<string, string> secrets, ToolBox box, Action<ProviderException> failed)
    {
        var (ears, mind, voice) = (providers.Ears(plan.Assistant), providers.Mind(plan.Assistant, secrets, failed), providers.Voice(plan.Assistant, failed));
        return (ears.Error ?? mind.Error ?? voice.Error) is { } error
            ? throw new ProviderException("catalog", error.Message, retryable: false)
            : new Cast(ears.Value, box.IsEmpty ? mind.Value : new ToolUsingModel(mind.Value, box), voice.Value);
    }

    private ToolBox ToolBoxFor(ConversationPlan plan, IReadOnlyDictionary<string, string> secrets, RoomHands hands, Action<string, string> note) => tools.Make(
        plan.Tools, tools.Context(plan.TenantId, plan.SessionId, plan.AssistantId, plan.Phone?.CallId, plan.Variables, SendAsync), secrets, hands, note);

    private async Task<IReadOnlyDictionary<string, string>> SecretsAsync(ConversationPlan plan, CancellationToken ct)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<IMediator>().ReadAsync(plan.TenantId, ToolBoxes.SecretsOf(plan.Tools).Concat(TenantKeys.Of(plan.Assistant)), ct);
    }

    private async Task<T> SendAsync<T>(IRequest<T> request, CancellationToken ct)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<IMediator>().Send(request, ct);
    }

    [LoggerMessage(LogLevel.Warning, "Session {SessionId} was not attended or finished: {Code}")]
    private static partial void NotAttended(ILogger logger, string sessionId, string code);

    [LoggerMessage(LogLevel.Error, "The conversation of session {SessionId} failed")]
    private static partial void Failed(ILogger logger, string sessionId, Exception exception);

    [LoggerMessage(LogLevel.Warning, "A report on session {SessionId} could not be kept yet")]
    private static partial void ReportFailed(ILogger logger, string sessionId, Exception exception);

    [LoggerMessage(LogLevel.Error, "Part of the conversation of session {SessionId} could not be kept")]
    private static partial void NotTold(ILogger logger, string sessionId);
}
