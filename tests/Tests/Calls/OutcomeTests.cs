using System.Net;
using VoicePlatform.Calls;
using VoicePlatform.Calls.Data;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Tests.Calls;

internal sealed class OutcomeTests
{
    [TestCase(486, false, CallStatus.Busy, Fault.Callee)]
    [TestCase(600, false, CallStatus.Busy, Fault.Callee)]
    [TestCase(408, false, CallStatus.NoAnswer, Fault.Callee)]
    [TestCase(480, false, CallStatus.NoAnswer, Fault.Callee)]
    [TestCase(487, true, CallStatus.NoAnswer, Fault.Callee)]
    [TestCase(487, false, CallStatus.Failed, Fault.Platform)]
    [TestCase(603, false, CallStatus.Rejected, Fault.Callee)]
    [TestCase(607, false, CallStatus.Rejected, Fault.Callee)]
    [TestCase(608, false, CallStatus.Rejected, Fault.Callee)]
    [TestCase(404, false, CallStatus.Failed, Fault.Callee)]
    [TestCase(484, false, CallStatus.Failed, Fault.Callee)]
    [TestCase(604, false, CallStatus.Failed, Fault.Callee)]
    [TestCase(401, false, CallStatus.Failed, Fault.Tenant)]
    [TestCase(403, false, CallStatus.Failed, Fault.Tenant)]
    [TestCase(407, false, CallStatus.Failed, Fault.Tenant)]
    [TestCase(488, false, CallStatus.Failed, Fault.Carrier)]
    [TestCase(606, false, CallStatus.Failed, Fault.Carrier)]
    [TestCase(500, false, CallStatus.Failed, Fault.Carrier)]
    [TestCase(503, false, CallStatus.Failed, Fault.Carrier)]
    [TestCase(420, false, CallStatus.Failed, Fault.Carrier)]
    public void Every_final_answer_has_one_word_and_one_fault(int code, bool isTimeUp, object status, object fault)
    {
        var outcome = Outcome.OfSip(code, "Words", isTimeUp);
        Assert.That((outcome.Status, outcome.Fault, outcome.SipStatusCode, outcome.SipReason), Is.EqualTo(((CallStatus)status, (Fault?)(Fault)fault, (int?)code, "Words")));
        Assert.That(outcome.Cause, Does.Match("^[a-z_]+$"));
    }

    [Test]
    public void No_final_answer_is_left_without_a_word([Range(300, 699, 1)] int code) =>
        Assert.That(Outcome.OfSip(code, null, false).Status, Is.Not.EqualTo(CallStatus.Completed).And.Not.EqualTo(CallStatus.Queued));

    [TestCase(408, "unavailable", 6, "carrier_unreachable", Fault.Carrier)]
    [TestCase(408, "unavailable", 30, "carrier_unreachable", Fault.Carrier)]
    [TestCase(408, "deadline_exceeded", 6, "no_answer", Fault.Callee)]
    [TestCase(487, "failed_precondition", 6, "terminated", Fault.Carrier)]
    [TestCase(487, "canceled", 6, "terminated", Fault.Platform)]
    [TestCase(487, "deadline_exceeded", 30, "no_answer", Fault.Callee)]
    public void What_stands_for_silence_or_our_own_cancelling_is_told_from_the_same_answer_of_a_carrier(int sip, string code, int rang, string cause, object fault)
    {
        var refused = new LiveKitApiException(
            code, "sip status", HttpStatusCode.ServiceUnavailable, new Dictionary<string, string> { ["sip_status_code"] = $"{sip}", ["sip_status"] = "Words" });
        var outcome = Outcome.Of(refused, TimeSpan.FromSeconds(rang), TimeSpan.FromSeconds(30));

        Assert.That((outcome.Cause, outcome.Fault, outcome.SipStatusCode), Is.EqualTo((cause, (Fault?)(Fault)fault, (int?)sip)));
        Assert.That(outcome.IsRetryable, Is.EqualTo(cause == "no_answer"), "what may have rung is not rung again");
    }

    [Test]
    public void Only_busy_and_no_answer_are_tried_again()
    {
        var rule = new RetryRule(3);
        Assert.That(rule.Allows(Outcome.OfSip(486, null, false), 1), Is.True);
        Assert.That(rule.Allows(Outcome.OfSip(480, null, false), 2), Is.True);
        Assert.That(rule.Allows(Outcome.OfSip(486, null, false), 3), Is.False, "as often as it may");
        Assert.That(rule.Allows(Outcome.OfSip(503, null, false), 1), Is.False);
        Assert.That(rule.Allows(Outcome.OfSip(603, null, false), 1), Is.False);
        Assert.That(rule.Allows(Outcome.Unknown, 1), Is.False, "it may have rung");
        Assert.That(new RetryRule(3, [CallStatus.Busy]).Allows(Outcome.OfSip(480, null, false), 1), Is.False);
        Assert.That(new RetryRule().Allows(Outcome.OfSip(486, null, false), 1), Is.False, "not asked for");
    }
}
