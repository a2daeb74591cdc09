using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Threading.Channels;
using Google.Protobuf;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Signal;

namespace VoicePlatform.MediaServer.Workers;

/// <summary>A worker's socket: registration, offers and their answers, load, jobs. Ends with <see cref="RunAsync"/>.</summary>
#pragma warning disable CA1001 // the token source has no timer and no handle; Send may come after the end
internal sealed partial class AgentWorker(
    WebSocket socket,
    string apiKeyId,
    AgentDispatcher dispatcher,
    ServerInfo server,
    TimeProvider clock,
    ILogger log)
#pragma warning restore CA1001
{
    private const int QueueLength = 256;

    private static readonly TimeSpan RegistrationTimeout = TimeSpan.FromSeconds(10);

    private readonly Channel<ServerMessage> _outgoing = Channel.CreateBounded<ServerMessage>(
        new BoundedChannelOptions(QueueLength) { SingleReader = true });

    private readonly ConcurrentDictionary<string, TaskCompletionSource<AvailabilityResponse?>> _offers = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, AgentJob> _jobs = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _ending = new();

    private RegisterWorkerRequest? _registration;
    private WorkerStatus _status;
    private long _reportedLoad;

    public string Id { get; } = Sid.Worker();

    public string ApiKeyId => apiKeyId;

    public JobType Type => _registration!.Type;

    public ParticipantPermission Permissions { get; private set; } = new();

    /// <summary>0 to 1 as the worker says.</summary>
    public float Load => BitConverter.Int32BitsToSingle((int)Interlocked.Read(ref _reportedLoad));

    /// <summary>Jobs it was given or is being asked about: tells workers of equal load apart.</summary>
    public int Pending => _jobs.Count;

    public bool IsGone { get; private set; }

    public bool IsAvailable => !IsGone && _status is WorkerStatus.WsAvailable;

    public bool Serves(string agentName, string deployment) =>
        _registration!.AgentName == agentName && (deployment.Length == 0 || _registration.Deployment == deployment);

    public void Take(AgentJob job) => _jobs[job.Id] = job;

    public void Release(AgentJob job) => _jobs.TryRemove(job.Id, out _);

    /// <summary>Queues a message; a worker that does not read is cut off.</summary>
    public void Send(ServerMessage message)
    {
        if (!_outgoing.Writer.TryWrite(message) && !IsGone)
        {
            // Not here and now: the dispatcher's lock may be held, and what hangs on the token takes the worker out of its lists.
            _ = _ending.CancelAsync();
        }
    }

    /// <summary>Asks whether the worker takes a job. Null: no answer in time, or the worker is gone.</summary>
    public async Task<AvailabilityResponse?> OfferAsync(AgentJob job, LiveKit.Protocol.Room room, TimeSpan patience, CancellationToken cancellationToken)
    {
        var answer = new TaskCompletionSource<AvailabilityResponse?>(TaskCreationOptions.RunContinuationsAsynchronously);
        _offers[job.Id] = answer;
        try
        {
            if (IsGone)
            {
                return null;
            }

            Send(new ServerMessage { Availability = new AvailabilityRequest { Job = job.ToInfo(room) } });
            return await answer.Task.WaitAsync(patience, clock, cancellationToken);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            return null;
        }
        finally
        {
            _offers.TryRemove(job.Id, out _);
        }
    }

    /// <summary>Serves the socket until either side ends it.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(_ending.Token, stopping);
        var writing = WriteAsync(ending.Token);
        try
        {
            await ReadAsync(ending.Token);
        }
        finally
        {
            IsGone = true;
            dispatcher.Remove(this);
            foreach (var offer in _offers.Values)
            {
                offer.TrySetResult(null);
            }

            _outgoing.Writer.TryComplete();
            await Task.WhenAny(writing, Task.Delay(TimeSpan.FromSeconds(2), clock, CancellationToken.None));
            await ending.CancelAsync();
            await writing;
            await SocketFrames.LingerAsync(socket, clock);
            socket.Abort();
        }
    }

    private async Task ReadAsync(CancellationToken stopping)
    {
        try
        {
            while (await ReadFrameAsync(stopping) is { } frame)
            {
                using (frame)
                {
                    if (!Handle(WorkerMessage.Parser.ParseFrom(frame.Memory.Span[..frame.Length])))
                    {
                        await socket.CloseOutputAsync(WebSocketCloseStatus.PolicyViolation, "register first, and once", stopping);
                        return;
                    }
                }
            }
        }
        catch (InvalidProtocolBufferException)
        {
            LogMalformed(log, Id);
            await socket.CloseOutputAsync(WebSocketCloseStatus.InvalidPayloadData, "malformed WorkerMessage", stopping)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        catch (SocketFrames.RefusedException e)
        {
            await socket.CloseOutputAsync(e.Status, e.Message, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            // The socket broke; the dispatcher is told below.
        }
    }

    /// <summary>The next message; the first one, the registration, has to come soon.</summary>
    private async Task<SocketFrames.Frame?> ReadFrameAsync(CancellationToken stopping)
    {
        if (_registration is not null)
        {
            return await SocketFrames.ReadAsync(socket, Limits.WorkerMessageBytes, stopping);
        }

        using var late = new CancellationTokenSource(RegistrationTimeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, stopping);
        return await SocketFrames.ReadAsync(socket, Limits.WorkerMessageBytes, either.Token);
    }

    private bool Handle(WorkerMessage message)
    {
        if ((message.MessageCase is WorkerMessage.MessageOneofCase.Register) == (_registration is not null))
        {
            return false;
        }

        switch (message.MessageCase)
        {
            case WorkerMessage.MessageOneofCase.Register when Math.Max(message.Register.AgentName.Length, message.Register.Version.Length) > Limits.NameLength:
                return false;
            case WorkerMessage.MessageOneofCase.Register:
                _registration = message.Register;
                Permissions = message.Register.AllowedPermissions ?? new ParticipantPermission
                {
                    CanPublish = true,
                    CanSubscribe = true,
                    CanPublishData = true,
                    CanUpdateMetadata = true,
                };
                Send(new ServerMessage { Register = new RegisterWorkerResponse { WorkerId = Id, ServerInfo = server } });
                LogRegistered(log, Id, _registration.AgentName, _registration.Version);
                dispatcher.Add(this);
                break;
            case WorkerMessage.MessageOneofCase.Availability:
                if (_offers.TryGetValue(message.Availability.JobId, out var offer))
                {
                    offer.TrySetResult(message.Availability);
                }

                break;
            case WorkerMessage.MessageOneofCase.UpdateWorker:
                Update(message.UpdateWorker);
                break;
            case WorkerMessage.MessageOneofCase.UpdateJob:
                dispatcher.UpdateJob(this, message.UpdateJob);
                break;
            case WorkerMessage.MessageOneofCase.Ping:
                Send(new ServerMessage
                {
                    Pong = new WorkerPong { LastTimestamp = message.Ping.Timestamp, Timestamp = clock.GetUtcNow().ToUnixTimeMilliseconds() },
                });
                break;
            default:
                break;
        }

        return true;
    }

    private void Update(UpdateWorkerStatus update)
    {
        var wasFull = _status is WorkerStatus.WsFull;
        if (update.HasStatus)
        {
            _status = update.Status;
        }

        if (!(update.HasStatus && update.Status is WorkerStatus.WsFull))
        {
            var load = float.IsFinite(update.Load) ? Math.Clamp(update.Load, 0, 1) : 1;
            Interlocked.Exchange(ref _reportedLoad, BitConverter.SingleToInt32Bits(load));
        }

        if (wasFull && _status is WorkerStatus.WsAvailable)
        {
            dispatcher.Available(this);
        }
    }

    private async Task WriteAsync(CancellationToken stopping)
    {
        try
        {
            await foreach (var message in _outgoing.Reader.ReadAllAsync(stopping))
            {
                await socket.SendAsync(message.ToByteArray(), WebSocketMessageType.Binary, endOfMessage: true, stopping);
            }

            if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
            {
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, stopping);
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            await _ending.CancelAsync();
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Worker} registered for agent '{Agent}' (version {Version})")]
    private static partial void LogRegistered(ILogger log, string worker, string agent, string version);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Worker {Worker} sent a malformed message; its socket was closed")]
    private static partial void LogMalformed(ILogger log, string worker);
}
