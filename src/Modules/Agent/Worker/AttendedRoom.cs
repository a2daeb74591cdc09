using VoicePlatform.Agent.Pipeline;
using VoicePlatform.Agent.Providers;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Rtc;
using DisconnectReason = VoicePlatform.LiveKit.Protocol.DisconnectReason;

namespace VoicePlatform.Agent.Worker;

/// <summary>
/// One job: joins the room, puts the conversation together, feeds it what happens in the room, and sees to its end. Its own scope,
/// its own cancellation: what goes wrong here ends this conversation and no other.
/// </summary>
internal sealed partial class AttendedRoom(RtcEngine engine, ProviderCatalog providers, IServiceScopeFactory scopes, TimeProvider clock, ILoggerFactory logs)
{
    /// <summary>Makes one for a job.</summary>
    public delegate AttendedRoom Factory();

    private const int LongestMessage = 8_000;

    private static readonly TimeSpan SubscriptionPatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FarewellPatience = TimeSpan.FromSeconds(5);

    private readonly ILogger _log = logs.CreateLogger<AttendedRoom>();

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

        // Not cancellable: a conversation that happened is finished. If this fails too, the sweeper does it.
        var finished = await SendAsync(new FinishSession(sessionId, reason), CancellationToken.None);
        if (!finished.IsOk)
        {
            NotAttended(_log, sessionId, finished.Error.Code);
        }
    }

    private async Task<string> ConverseAsync(ConversationPlan plan, string url, string token, CancellationToken ct)
    {
        Conversation? conversation = null;
        var cast = CastFor(plan, e => conversation?.Post(new ConversationEvent.ModelFailed(e)));
        await using var room = await engine.ConnectAsync(url, token, new RoomOptions(), ct);
        using var source = engine.CreateAudioSource(TrackOut.Format);
        var voice = new RoomVoice(room, plan.ParticipantIdentity, _log);
        using var reporter = new Reporter(
            plan.SessionId,
            (report, token) => SendAsync(report, token),
            clock,
            answer => conversation?.Post(new ConversationEvent.Reported(answer)),
            error => ReportFailed(_log, plan.SessionId, error));
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

        // The track is there before the caller is: the first word of the greeting finds a listener.
        var track = await room.LocalParticipant.PublishAudioAsync(source, new AudioPublishOptions { Name = "agent" }, ct);
        voice.AgentTrackSid = track.Sid;
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var showing = voice.RunAsync(over.Token);
        var reporting = reporter.RunAsync(over.Token);
        var watching = WatchAsync(room, plan, conversation, recogniser, voice, reporter, over.Token);
        try
        {
            return await conversation.RunAsync(ct);
        }
        finally
        {
            await FarewellAsync(voice, showing);
            await over.CancelAsync();
            await Task.WhenAll(showing, reporting, watching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            reporter.Usage(recogniser.Usage);
            await reporter.FlushAsync(CancellationToken.None);
        }
    }

    /// <summary>What was queued for the room (the last transcript) still goes out, if the room takes it.</summary>
    private async Task FarewellAsync(RoomVoice voice, Task showing)
    {
        voice.Complete();
        await showing.WaitAsync(FarewellPatience, clock, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <exception cref="ProviderException">A provider that was there when the session started is gone.</exception>
    private Cast CastFor(ConversationPlan plan, Action<ProviderException> failed)
    {
        var (ears, mind, voice) = (providers.Ears(plan.Assistant), providers.Mind(plan.Assistant, failed), providers.Voice(plan.Assistant));
        return (ears.Error ?? mind.Error ?? voice.Error) is { } error
            ? throw new ProviderException("catalog", error.Message, retryable: false)
            : new Cast(ears.Value, mind.Value, voice.Value);
    }

    /// <summary>Turns what happens in the room into events of the conversation.</summary>
    private async Task WatchAsync(
        RtcRoom room, ConversationPlan plan, Conversation conversation, IRecogniser recogniser, RoomVoice voice, Reporter reporter, CancellationToken ct)
    {
        var heardBySomebody = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var listener = new Listener(conversation, recogniser, clock);
        var background = new List<Task>();
        RemoteAudioStream? ears = null;
        room.HandleTextStreams("lk.chat", async (stream, token) =>
        {
            if (stream.SenderIdentity == plan.ParticipantIdentity)
            {
                var text = (await stream.ReadAllAsync(LongestMessage, token)).Trim();
                if (text.Length > 0)
                {
                    await conversation.PostAsync(new ConversationEvent.Wrote(text), token);
                }
            }
        });
        try
        {
            if (room.RemoteParticipants.TryGetValue(plan.ParticipantIdentity, out var early))
            {
                background.Add(GreetWhenHeardAsync());
                foreach (var publication in early.Publications.Values)
                {
                    Listen(publication.Track);
                }
            }

            await foreach (var e in room.ReadEventsAsync(ct))
            {
                switch (e)
                {
                    case RoomEvent.ParticipantConnected { Participant.Identity: var identity } when identity == plan.ParticipantIdentity:
                        background.Add(GreetWhenHeardAsync());
                        break;
                    case RoomEvent.LocalTrackSubscribed:
                        heardBySomebody.TrySetResult();
                        break;
                    case RoomEvent.TrackSubscribed subscribed when subscribed.Participant.Identity == plan.ParticipantIdentity:
                        Listen(subscribed.Track);
                        break;
                    case RoomEvent.ParticipantDisconnected left when left.Participant.Identity == plan.ParticipantIdentity:
                        await conversation.PostAsync(new ConversationEvent.CallerLeft(), ct);
                        break;
                    case RoomEvent.Disconnected { Reason: var reason }:
                        await conversation.PostAsync(
                            new ConversationEvent.Stop(reason is DisconnectReason.RoomDeleted ? EndReasons.Requested
                                : reason is DisconnectReason.ServerShutdown ? EndReasons.Shutdown : EndReasons.CallerLeft), ct);
                        break;
                }

                reporter.Usage(recogniser.Usage);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // The conversation is over.
        }
        finally
        {
            ears?.Dispose();
            await Task.WhenAll(background).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        void Listen(RemoteTrack? track)
        {
            if (track is not { IsAudio: true })
            {
                return;
            }

            // A caller who comes back after a lost connection brings a new track: the old one has ended.
            ears?.Dispose();
            ears = track.OpenAudio();
            voice.CallerTrackSid = track.Sid;
            background.Add(listener.RunAsync(ears, ct));
        }

        async Task GreetWhenHeardAsync()
        {
            await heardBySomebody.Task.WaitAsync(SubscriptionPatience, clock, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await conversation.PostAsync(new ConversationEvent.CallerReady(), ct);
        }
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
}
