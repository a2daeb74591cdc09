using Microsoft.Extensions.Options;

namespace VoicePlatform.Agent.Worker;

/// <summary>How many conversations run in this process. Admission counts them: a CPU reading would refuse work beside a busy neighbour.</summary>
internal sealed class ConversationRegistry(IOptions<AgentOptions> options)
{
    private int _running;

    public int Running => Volatile.Read(ref _running);

    public int Maximum => options.Value.MaxSessions;

    public bool IsFull => Running >= Maximum;

    /// <summary>False when there is no room; otherwise <see cref="Leave"/> must follow.</summary>
    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _running) <= Maximum)
        {
            return true;
        }

        Interlocked.Decrement(ref _running);
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _running);
}
