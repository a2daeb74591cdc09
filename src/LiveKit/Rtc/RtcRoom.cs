using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;
using DisconnectReason = VoicePlatform.LiveKit.Protocol.DisconnectReason;
using LogLevel = Microsoft.Extensions.Logging.LogLevel;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>
/// A room we are in. What happens there is read from <see cref="ReadEventsAsync"/>; participants are kept up to date whether or not
/// anybody reads. Leaves the room when disposed of.
/// </summary>
public sealed partial class RtcRoom : IFfiEventSink, IAsyncDisposable
{
    // Events of the library that wait for us. Data and speaker changes, which a peer can send without end, may fill only part of it.
    private const int InboxLength = 4096;
    private const int InboxForDroppable = 3072;

    // Calls and texts of peers that are being answered at the same time.
    private const int MaxHandlers = 64;

    private static readonly TimeSpan GoodbyeTimeout = TimeSpan.FromSeconds(3);

    private readonly FfiClient _client;
    private readonly FfiHandle _handle;
    private readonly ILogger _logger;
    private readonly TimeProvider _clock;
    private readonly Channel<FfiEvent> _inbox = Channel.CreateBounded<FfiEvent>(new BoundedChannelOptions(InboxLength) { SingleReader = true });
    private readonly Channel<RoomEvent> _events;
    private readonly ConcurrentDictionary<string, RemoteParticipant> _participants = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Func<IncomingTextStream, CancellationToken, Task>> _textHandlers = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<long, Task> _handlers = new();
    private readonly TaskCompletionSource<DisconnectReason> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _leavingGate = new();
    private readonly Task _pump;
    private long _lastHandler;
    private long _droppedEvents;
    private Task? _leaving;

    internal RtcRoom(FfiClient client, ConnectCallback.Types.Result connected, RoomOptions options, ILogger logger, TimeProvider clock)
    {
        (_client, _logger, _clock) = (client, logger, clock);
        _handle = new FfiHandle(connected.Room.Handle);
        (Name, Sid, Metadata) = (connected.Room.Info.Name, connected.Room.Info.Sid, connected.Room.Info.Metadata);
        LocalParticipant = new LocalParticipant(client, connected.LocalParticipant);
        foreach (var other in connected.Participants)
        {
            var participant = new RemoteParticipant(other.Participant);
            _participants[participant.Identity] = participant;
            foreach (var publication in other.Publications)
            {
                participant.Add(new RemoteTrackPublication(client, publication));
            }
        }

        // The end of a room is also told by Ended, so losing the oldest event loses nothing that is needed to come to an end.
        _events = Channel.CreateBounded<RoomEvent>(
            new BoundedChannelOptions(options.EventQueue) { FullMode = BoundedChannelFullMode.DropOldest },
            _ => Interlocked.Increment(ref _droppedEvents));
        client.Listen(_handle.Id, this);
        client.Listen(LocalParticipant.Handle.Id, this);
        _pump = Task.Run(PumpAsync);
        // Only now does the library deliver the room's events.
        client.Send(new FfiRequest { ReadyForRoomEvent = new ReadyForRoomEventRequest { RoomHandle = _handle.Id } });
    }

    public string Name { get; private set; }

    /// <summary>Empty until the server has told it.</summary>
    public string Sid { get; private set; }

    public string Metadata { get; private set; }

    public RoomConnectionState State { get; private set; } = RoomConnectionState.Connected;

    public LocalParticipant LocalParticipant { get; }

    /// <summary>The others, by identity.</summary>
    public IReadOnlyDictionary<string, RemoteParticipant> RemoteParticipants => _participants;

    /// <summary>Ends when the connection has ended for good, with the reason. Never fails.</summary>
    public Task<DisconnectReason> Ended => _ended.Task;

    /// <summary>Events lost because they were not read or handled in time.</summary>
    public long DroppedEvents => Interlocked.Read(ref _droppedEvents);

    /// <summary>What happens in the room, from the beginning, until <see cref="RoomEvent.Ended"/>. For one reader.</summary>
    public IAsyncEnumerable<RoomEvent> ReadEventsAsync(CancellationToken cancellationToken) => _events.Reader.ReadAllAsync(cancellationToken);

    /// <summary>Takes text streams of a topic from now on; those of topics without a handler are refused.</summary>
    public void HandleTextStreams(string topic, Func<IncomingTextStream, CancellationToken, Task> handler) => _textHandlers[topic] = handler;

    /// <summary>Leaves the room and waits until that is done.</summary>
    public async Task DisconnectAsync(CancellationToken cancellationToken)
    {
        await Leave(DisconnectReason.ClientInitiated).WaitAsync(cancellationToken);
    }

    [SuppressMessage("Design", "CA1031", Justification = "Handlers are application code; their faults were logged.")]
    public async ValueTask DisposeAsync()
    {
        await DisconnectAsync(CancellationToken.None);
        await _closing.CancelAsync();
        await Task.WhenAll(_handlers.Values);
        _closing.Dispose();
    }

    /// <summary>On a thread of the library.</summary>
    void IFfiEventSink.Post(FfiEvent ffiEvent)
    {
        if (IsDroppable(ffiEvent) && _inbox.Reader.Count >= InboxForDroppable)
        {
            Interlocked.Increment(ref _droppedEvents);
            FfiEvents.DropHandles(ffiEvent);
        }
        else if (!_inbox.Writer.TryWrite(ffiEvent))
        {
            FfiEvents.DropHandles(ffiEvent);
            if (Interlocked.Increment(ref _droppedEvents) > 0 && !_ended.Task.IsCompleted)
            {
                // What we think of the room is no longer true, so we cannot stay.
                LogOverrun(Name);
                _ = Task.Run(() => DisconnectAsync(CancellationToken.None));
            }
        }
    }

    private static bool IsDroppable(FfiEvent message) => message.RoomEvent?.MessageCase
        is Ffi.RoomEvent.MessageOneofCase.DataPacketReceived
        or Ffi.RoomEvent.MessageOneofCase.ActiveSpeakersChanged
        or Ffi.RoomEvent.MessageOneofCase.ConnectionQualityChanged
        or Ffi.RoomEvent.MessageOneofCase.TextStreamOpened
        or Ffi.RoomEvent.MessageOneofCase.StreamHeaderReceived
        or Ffi.RoomEvent.MessageOneofCase.StreamChunkReceived
        or Ffi.RoomEvent.MessageOneofCase.StreamTrailerReceived;

    private Task Leave(DisconnectReason reason)
    {
        lock (_leavingGate)
        {
            return _leaving ??= LeaveAsync(reason);
        }
    }

    private async Task LeaveAsync(DisconnectReason reason)
    {
        try
        {
            var asyncId = _client.NextAsyncId();
            var request = new DisconnectRequest { RoomHandle = _handle.Id, RequestAsyncId = asyncId, Reason = (Ffi.DisconnectReason)(int)reason };
            await _client.CallAsync(new FfiRequest { Disconnect = request }, asyncId).WaitAsync(GoodbyeTimeout, _clock);
            await _pump.WaitAsync(TimeSpan.FromSeconds(1), _clock);
        }
        catch (Exception e) when (e is TimeoutException or RtcException or ObjectDisposedException)
        {
            LogGoodbyeFault(Name, e.Message);
        }

        _inbox.Writer.TryComplete();
        await _pump;
        _ended.TrySetResult(reason);
    }

    [SuppressMessage("Design", "CA1031", Justification = "One event's fault must not end the room.")]
    private async Task PumpAsync()
    {
        await foreach (var message in _inbox.Reader.ReadAllAsync())
        {
            try
            {
                Handle(message);
            }
            catch (Exception e)
            {
                LogEventFault(Name, message.MessageCase.ToString(), e);
            }
        }

        _client.Unlisten(_handle.Id);
        _client.Unlisten(LocalParticipant.Handle.Id);
        State = RoomConnectionState.Disconnected;
        foreach (var (_, participant) in _participants)
        {
            participant.Release();
        }

        LocalParticipant.Handle.Dispose();
        _handle.Dispose();
        _ended.TrySetResult(DisconnectReason.ClientInitiated);
        _events.Writer.TryWrite(new RoomEvent.Ended());
        _events.Writer.TryComplete();
    }

    private void Handle(FfiEvent message)
    {
        if (message.RoomEvent is { } roomEvent)
        {
            HandleRoomEvent(roomEvent);
        }
        else if (message.RpcMethodInvocation is { } invocation)
        {
            HandleRpc(invocation);
        }
    }

    private void OnDisconnected(DisconnectReason reason)
    {
        State = RoomConnectionState.Disconnected;
        Emit(new RoomEvent.Disconnected(reason));
        _ended.TrySetResult(reason);
        // The library keeps a room the server ended until it is told to close it.
        _ = Leave(reason);
    }

    private void Emit(RoomEvent roomEvent) => _events.Writer.TryWrite(roomEvent);

    /// <summary>Runs application code for a peer. False when too much of it runs already.</summary>
    private bool TryStart(Func<Task> handler)
    {
        if (_handlers.Count >= MaxHandlers)
        {
            return false;
        }

        var id = Interlocked.Increment(ref _lastHandler);
        var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _handlers[id] = RunAsync();
        start.SetResult();
        return true;

        async Task RunAsync()
        {
            await start.Task;
            await handler();
            _handlers.TryRemove(id, out _);
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "Application code; its faults end only itself.")]
    private void HandleText(TextStreamOpened opened)
    {
        if (!_textHandlers.TryGetValue(opened.Reader.Info.Topic, out var handler) || _handlers.Count >= MaxHandlers)
        {
            LogTextRefused(Name, opened.Reader.Info.Topic, opened.ParticipantIdentity);
            NativeMethods.DropHandle(opened.Reader.Handle.Id);
            return;
        }

        var stream = new IncomingTextStream(_client, opened.Reader, opened.ParticipantIdentity);
        var started = TryStart(async () =>
        {
            try
            {
                await handler(stream, _closing.Token);
            }
            catch (Exception e) when (e is not OperationCanceledException || !_closing.IsCancellationRequested)
            {
                LogTextFault(Name, stream.Topic, e);
            }
            catch (OperationCanceledException)
            {
                // The room is being left.
            }
            finally
            {
                stream.Dispose();
            }
        });
        if (!started)
        {
            stream.Dispose();
        }
    }

    private void HandleRpc(RpcMethodInvocationEvent call)
    {
        if (!LocalParticipant.RpcMethods.TryGetValue(call.Method, out var method))
        {
            Answer(call, null, new RpcError { Code = RpcErrorCode.UnsupportedMethod, Message = "Method not supported at destination" });
        }
        else if (!TryStart(() => AnswerAsync(call, method)))
        {
            Answer(call, null, new RpcError { Code = RpcErrorCode.ApplicationError, Message = "Too many calls at once" });
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "Application code; the caller learns that it failed.")]
    private async Task AnswerAsync(RpcMethodInvocationEvent call, Func<RpcInvocation, CancellationToken, Task<string>> method)
    {
        try
        {
            var timeout = TimeSpan.FromMilliseconds(call.ResponseTimeoutMs);
            var invocation = new RpcInvocation(call.Method, call.RequestId, call.CallerIdentity, call.Payload, timeout);
            Answer(call, await method(invocation, _closing.Token), error: null);
        }
        catch (RpcException e)
        {
            var error = new RpcError { Code = e.Code, Message = e.Message };
            if (e.ErrorData is { } data)
            {
                error.Data = data;
            }

            Answer(call, null, error);
        }
        catch (Exception e)
        {
            LogRpcFault(Name, call.Method, e);
            Answer(call, null, new RpcError { Code = RpcErrorCode.ApplicationError, Message = "Application error in method handler" });
        }
    }

    private void Answer(RpcMethodInvocationEvent call, string? payload, RpcError? error)
    {
        var response = new RpcMethodInvocationResponseRequest
        {
            LocalParticipantHandle = call.LocalParticipantHandle,
            InvocationId = call.InvocationId,
        };
        if (error is not null)
        {
            response.Error = error;
        }
        else
        {
            response.Payload = payload ?? "";
        }

        try
        {
            _client.Send(new FfiRequest { RpcMethodInvocationResponse = response });
        }
        catch (Exception e) when (e is RtcException or ObjectDisposedException)
        {
            LogRpcFault(Name, call.Method, e);
        }
    }

    [LoggerMessage(LogLevel.Error, "Room {Room}: more events than could be handled; leaving it.")]
    private partial void LogOverrun(string room);

    [LoggerMessage(LogLevel.Debug, "Room {Room}: the goodbye was not answered: {Error}")]
    private partial void LogGoodbyeFault(string room, string error);

    [LoggerMessage(LogLevel.Error, "Room {Room}: an event {Kind} could not be handled.")]
    private partial void LogEventFault(string room, string kind, Exception e);

    [LoggerMessage(LogLevel.Debug, "Room {Room}: a text stream of topic {Topic} from {Sender} was refused.")]
    private partial void LogTextRefused(string room, string topic, string sender);

    [LoggerMessage(LogLevel.Warning, "Room {Room}: the handler of text streams of topic {Topic} failed.")]
    private partial void LogTextFault(string room, string topic, Exception e);

    [LoggerMessage(LogLevel.Warning, "Room {Room}: the remote method {Method} failed.")]
    private partial void LogRpcFault(string room, string method, Exception e);
}
