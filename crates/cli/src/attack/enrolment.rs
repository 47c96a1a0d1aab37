//! Attacks on what an operator is told of an element.

use std::sync::Arc;

use anyhow::Result;
use counterfoil_operator::{Service, system_clock};
use counterfoil_tre::Image;
use counterfoil_tre::testing::platform::SimulatedPlatform;
use counterfoil_wallet::sync::NewWallet;
use counterfoil_wallet::{Counter, Device, HttpOperator, Kind, Operator, OperatorError, Scheme};
use counterfoil_wire::cert::Grade;
use counterfoil_wire::{Algorithm, Code, Digest, Nonce};

use super::rollback::enrol;
use super::{Attack, Stage, Verdict};
use crate::scene::{Actor, Part, refusal};

const WHEN: &str = "at enrolment; nothing is enrolled";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "an image that is not on the operator's list",
        expected: Verdict::Prevented,
        by: "the operator's list of images (618)",
        when: WHEN,
        bound: "a host that names another image than it runs: see \"the host runs an application of its own\"",
        mount: |stage| {
            let image = Image::shipped()?.id();
            let service = Service::open(stage.operator.dir(), system_clock())?;
            service.withdraw_image(Digest(image.hash))?;
            let code = refusal(enrol(stage, "unlisted", "Dora", Counter::None))?;
            service.allow_image(Digest(image.hash), image.version)?;
            Ok(Verdict::refused(code == Some(Code::ImageRefused)))
        },
    },
    Attack {
        name: "an enrolment that answers a challenge of its own making",
        expected: Verdict::Prevented,
        by: "the operator's challenge (617)",
        when: WHEN,
        bound: "",
        mount: |stage| {
            let operator = OwnChallenge(stage.operator.client());
            let device = Device::new(stage.dir.path().join("challenge/Dora/device"));
            let code = refusal(enrol_with(stage, "challenge", device, &operator, Counter::None))?;
            Ok(Verdict::refused(code == Some(Code::ChallengeStale)))
        },
    },
    Attack {
        name: "a forged attestation of a counter",
        expected: Verdict::Prevented,
        by: "the chain to a root that the operator trusts (619)",
        when: WHEN,
        bound: "",
        mount: |stage| {
            let platform = SimulatedPlatform::default();
            platform.attest_with(vec![vec![0x30, 0x03, 0x02, 0x01, 0x00]; 2]);
            let device = Device::new(stage.dir.path().join("forged/Dora/device"));
            let device = device.with_platform(Digest([7; 32]), Arc::new(platform));
            let operator = stage.operator.client();
            let code = refusal(enrol_with(stage, "forged", device, &operator, Counter::Platform))?;
            Ok(Verdict::refused(code == Some(Code::EvidenceInvalid)))
        },
    },
    Attack {
        name: "a host that claims a counter which it does not have, in a sandbox",
        expected: Verdict::Open,
        by: "",
        when: "",
        bound: "play money: outside a sandbox the grade virtual-se-bound needs evidence (607)",
        mount: |stage| {
            let liar = enrol(stage, "claimed", "Dora", Counter::Platform)?;
            Ok(Verdict::refused(liar.overview()?.grade != Grade::VirtualSeBound))
        },
    },
];

fn enrol_with(
    stage: &Stage,
    attack: &str,
    device: Device,
    operator: &dyn Operator,
    counter: Counter,
) -> Result<Actor> {
    let (kind, algorithm) = (Kind::Wallet, Algorithm::EdDsa);
    let part = Part { name: "Dora", psp: "alpha", kind, algorithm, counter };
    Actor::enrol_on(device, &stage.dir.path().join(attack), operator, stage.operator.url(), &part)
}

/// An operator in whose place somebody gives out challenges.
struct OwnChallenge(HttpOperator);

impl Operator for OwnChallenge {
    fn scheme(&self) -> Result<Scheme, OperatorError> {
        self.0.scheme()
    }
    fn challenge(&self) -> Result<Nonce, OperatorError> {
        Ok(Nonce([5; 16]))
    }
    fn enrol(&self, new: &NewWallet<'_>) -> Result<Vec<u8>, OperatorError> {
        self.0.enrol(new)
    }
    fn fund(&self, order: &[u8]) -> Result<bool, OperatorError> {
        self.0.fund(order)
    }
    fn settle(&self, statement: &[u8]) -> Result<Vec<u8>, OperatorError> {
        self.0.settle(statement)
    }
}
