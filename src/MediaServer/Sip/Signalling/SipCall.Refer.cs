using System.Globalization;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <content>Transfer by REFER (RFC 3515).</content>
internal abstract partial class SipCall
{
    private readonly QueueTimer _referLimit;
    private TaskCompletionSource<ReferOutcome>? _refer;

    /// <summary>
    /// Asks the peer to call somebody else and follows its reports to their end. The call itself goes on: hang it up after a transfer.
    /// </summary>
    /// <param name="referTo">A sip, sips or tel URI.</param>
    /// <param name="headers">Further headers, such as Referred-By.</param>
    /// <param name="timeout">From the REFER to the last report.</param>
    /// <param name="ct">Gives up waiting.</param>
    /// <exception cref="SipException">The URI or a header is none, or another transfer is under way.</exception>
    public Task<ReferOutcome> ReferAsync(string referTo, IReadOnlyList<(string Name, string Value)> headers, TimeSpan timeout, CancellationToken ct)
    {
        CallHeaders.Check(headers);
        if (!SipUri.TryParse(referTo.Trim('<', '>', ' '), out var target))
        {
            throw new SipException("The target of a transfer must be a sip, sips or tel URI.");
        }

        var outcome = new TaskCompletionSource<ReferOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        Queue.Post(() =>
        {
            if (_refer is not null)
            {
                outcome.SetException(new SipException("A transfer is under way already."));
            }
            else if (!IsEstablished)
            {
                outcome.SetResult(new ReferOutcome(ReferKind.Failed, 0, "The call is not established."));
            }
            else
            {
                _refer = outcome;
                _referLimit.Start(timeout);
                Refer(target, headers);
            }
        });
        return outcome.Task.WaitAsync(ct);
    }

    private void Refer(SipUri target, IReadOnlyList<(string Name, string Value)> headers)
    {
        void Complete(SipRequest request, Flow flow)
        {
            request.Headers.Add("Contact", Stack.ContactOn(flow, ContactUser));
            request.Headers.Add("Refer-To", $"<{target}>");
            CallHeaders.AddTo(request, headers);
        }

        Send(
            Dialog!,
            "REFER",
            response =>
            {
                if (!response.IsSuccess)
                {
                    EndRefer(new ReferOutcome(ReferKind.Refused, response.Status, response.Reason));
                }
            },
            (_, message) => EndRefer(new ReferOutcome(ReferKind.Failed, 0, message)),
            Complete);
    }

    private void OnNotify(ServerTransaction transaction)
    {
        var request = transaction.Request;
        if (_refer is null || !(request.Headers["Event"] ?? "").StartsWith("refer", StringComparison.OrdinalIgnoreCase))
        {
            Reply(transaction, 481, "Subscription does not exist");
            return;
        }

        Reply(transaction, 200);
        if (StatusOf(request.Body) is { } report && report.Status >= 200)
        {
            EndRefer(new ReferOutcome(ReferKind.Reported, report.Status, report.Reason));
        }
        else if ((request.Headers["Subscription-State"] ?? "").StartsWith("terminated", StringComparison.OrdinalIgnoreCase))
        {
            EndRefer(new ReferOutcome(ReferKind.Unreported, 0, "The reports ended without a final one."));
        }
    }

    private void EndRefer(ReferOutcome outcome)
    {
        _referLimit.Stop();
        var waiting = _refer;
        _refer = null;
        waiting?.TrySetResult(outcome);
    }

    /// <summary>The status line that a message/sipfrag body begins with.</summary>
    private static (int Status, string Reason)? StatusOf(string fragment)
    {
        var parts = fragment.AsSpan().Trim().ToString().Split('\n', 2)[0].Trim().Split(' ', 3);
        return parts.Length >= 2 && parts[0].Equals("SIP/2.0", StringComparison.OrdinalIgnoreCase) && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var status)
            ? (status, parts.Length == 3 ? parts[2] : "")
            : null;
    }
}
